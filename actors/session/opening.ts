/**
 * Whether a session can be opened, and what its opening is as facts.
 */
import { sessionMachine } from '../../machines/session.ts';
import type { Command } from '../command.ts';
import { failure } from '../message.ts';
import type { Decision, Failure } from '../message.ts';
import type { Verdict } from '../outcomes.ts';
import type { Runtime } from '../runtime.ts';
import type { SessionOpened } from './event.ts';
import { openSession } from './evolve.ts';
import type { SessionState } from './session-state.ts';

export type OpenDecision = Extract<Decision, { do: 'open' }>;

export function openingProblem(
  runtime: Runtime,
  decision: OpenDecision,
  existing: SessionState | undefined,
  sessionId: string,
  sessionCount: number,
): Failure | undefined {
  if (existing !== undefined) return failure('SESSION_EXISTS', `Session ${sessionId} already exists`);
  const { sessionsMax } = runtime.limits;
  if (sessionCount >= sessionsMax) {
    return failure('SESSION_LIMIT', `Session limit reached (${sessionsMax} sessions)`);
  }
  const name = decision.spec.engine ?? runtime.defaultEngine;
  const engine = runtime.engines.get(name);
  if (engine === undefined) {
    const known = [...runtime.engines.keys()].join(', ');
    return failure('ENGINE_UNAVAILABLE', `There is no engine '${name}'; this server has: ${known}`);
  }
  const problem = engine.checkInput(decision.spec.input ?? null);
  if (problem === undefined) return undefined;
  const details = [{ path: 'input', code: 'invalid_input', message: problem }];
  return failure('VALIDATION_FAILED', `Validation failed: input: ${problem}`, details);
}

export function openingVerdict(
  runtime: Runtime,
  command: Command,
  decision: OpenDecision,
  sessionId: string,
  epoch: string,
): Verdict {
  const { spec } = decision;
  const at = runtime.clock.now();
  const fact: SessionOpened = {
    type: 'session.opened',
    sessionId,
    epoch,
    owner: command.principal.id,
    engine: spec.engine ?? runtime.defaultEngine,
    input: spec.input ?? null,
    name: spec.name ?? null,
    cwd: spec.cwd ?? null,
    labels: spec.labels ?? null,
    machineVersion: sessionMachine.version ?? '',
  };
  const data = decision.respond(openSession(fact, at));
  return { outcome: { success: true, data }, facts: [fact], at, notice: { type: 'session_created', data } };
}
