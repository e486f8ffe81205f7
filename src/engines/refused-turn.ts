/**
 * A turn that ends before it began, as a result and not as an exception: `start` never throws.
 */
import type { TurnHandle, TurnResult } from '../../actors/ports.ts';

export type TurnFailure = Extract<TurnResult, { status: 'failed' }>;

export function refuseTurn(failure: TurnFailure): TurnHandle {
  return { steer: () => false, followUp: () => false, finished: Promise.resolve(failure) };
}

/** The user asked for what cannot be done: it does not speak against the engine. */
export function userFailure(message: string): TurnFailure {
  return { status: 'failed', kind: 'user', message };
}
