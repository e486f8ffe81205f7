/**
 * An engine for tests and demos: `create_session.input {"turns": [[STEP, ...], ...]}`; the n-th prompt of a session runs the
 * n-th list, the last one repeats. Each step is an object with one key and its options (see `script-schema.ts`).
 *
 * A steer's message is shown before the next step; a steer after the last step began, and every follow-up, is answered by
 * its own text. A `usage` step counts for the message before it, or for the next one when that has its numbers already or
 * there is none. State: none.
 */
import type { Engine } from '../../actors/ports.ts';
import { userFailure } from './refused-turn.ts';
import { createScriptEngine } from './script-engine.ts';
import { scriptedInput, type ScriptedStep } from './script-schema.ts';
import { NO_TOKENS, type Step, type TokenCount } from './turn-script.ts';

/** What scripts may do. */
export interface ScriptedOptions {
  /** Lets a script kill this very process, without a chance to flush anything. */
  readonly allowCrash?: boolean;
}

/** Makes the engine of the kind `scripted`. */
export function createScriptedEngine({ allowCrash = false }: ScriptedOptions = {}): Engine {
  return createScriptEngine({
    kind: 'scripted',
    input: scriptedInput,
    script({ turns }, { turn }) {
      const list = Math.min(turn, turns.length) - 1;
      const steps = turns[list] ?? [];
      return { engine: 'scripted', wordDelayMs: 0, steps: compile(steps, `turns[${list}]`, allowCrash) };
    },
  });
}

function compile(script: readonly ScriptedStep[], path: string, allowCrash: boolean): Step[] {
  const usage = usageOfSteps(script);
  const steps = script.flatMap((step, index) => compileStep(step, `${path}[${index}]`, usage.get(index), allowCrash));
  const unspoken = usage.get(script.length);
  if (unspoken !== undefined) steps.push({ do: 'say', text: '', wordDelayMs: 0, usage: unspoken });
  return steps;
}

function compileStep(step: ScriptedStep, path: string, usage = NO_TOKENS, allowCrash: boolean): Step[] {
  switch (step.kind) {
    case 'text':
      return [{ do: 'say', text: step.text, wordDelayMs: step.delayMs, usage }];
    case 'delayMs':
      return [{ do: 'wait', delayMs: step.delayMs }];
    case 'tool':
      return [{ do: 'tool', ...step.tool, usage }];
    case 'ask': {
      const message = `This server cannot ask the user yet, which ${path}.ask wants.`;
      return [{ do: 'fail', failure: { ...userFailure(message), errorCode: 'UNSUPPORTED' } }];
    }
    case 'fail':
      return [{ do: 'fail', failure: { status: 'failed', kind: step.of, message: step.fail } }];
    case 'hang':
      return [{ do: 'hang' }];
    case 'throw':
      return [{ do: 'throw', message: step.throw }];
    case 'crashProcess':
      if (allowCrash) return [{ do: 'crash', crash: () => process.kill(process.pid, 'SIGKILL') }];
      return [{ do: 'fail', failure: userFailure(`${path}.crashProcess needs a server started with --allow-crash.`) }];
    case 'usage':
      return [];
    default:
      return step satisfies never;
  }
}

/** Numbers by the index of the step that speaks; under the list's length those for which no step speaks. */
function usageOfSteps(script: readonly ScriptedStep[]): Map<number, TokenCount> {
  const usage = new Map<number, TokenCount>();
  let speaker = script.length;
  let waiting: TokenCount | undefined;
  script.forEach((step, index) => {
    if (step.kind === 'usage') {
      if (speaker < index && !usage.has(speaker)) usage.set(speaker, step.usage);
      else waiting = sum(waiting, step.usage);
    } else if (step.kind === 'text' || step.kind === 'tool') {
      speaker = index;
      if (waiting !== undefined) usage.set(speaker, waiting);
      waiting = undefined;
    }
  });
  if (waiting !== undefined) usage.set(speaker, sum(usage.get(speaker), waiting));
  return usage;
}

function sum(one = NO_TOKENS, other: TokenCount): TokenCount {
  return { input: one.input + other.input, output: one.output + other.output };
}
