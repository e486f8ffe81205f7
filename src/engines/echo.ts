/**
 * The default engine: the answer is the prompt's text, streamed word by word. Deterministic, without a key, without I/O;
 * `create_session.input {"delayMs": N}` waits N milliseconds before each word. Steers and follow-ups are answered alike,
 * each after what came before it. State: none.
 */
import { z } from 'zod';
import type { Engine } from '../../actors/ports.ts';
import { delayMs } from './input.ts';
import { createScriptEngine } from './script-engine.ts';

/** Makes the engine of the kind `echo`. */
export function createEchoEngine(): Engine {
  return createScriptEngine({
    kind: 'echo',
    input: z.strictObject({ delayMs: delayMs.default(0) }).nullable(),
    script: (input) => ({ engine: 'echo', wordDelayMs: input?.delayMs ?? 0 }),
  });
}
