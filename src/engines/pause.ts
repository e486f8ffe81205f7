/**
 * Waiting inside a turn: on the request's clock, and only as long as the turn may run. An abort takes the timer away at
 * once, so that an aborted turn holds nothing. State: volatile.
 */
import type { TurnRequest } from '../../actors/ports.ts';

/** Rejects with the signal's reason when the turn is aborted, before or meanwhile. */
export function pause({ clock, signal }: Pick<TurnRequest, 'clock' | 'signal'>, delayMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const onAbort = (): void => {
      clock.clearTimeout(timer);
      reject(signal.reason as Error);
    };
    const timer = clock.setTimeout(() => {
      signal.removeEventListener('abort', onAbort);
      resolve();
    }, delayMs);
    signal.addEventListener('abort', onAbort, { once: true });
  });
}

/** Never resolves; rejects with the signal's reason. */
export function untilAborted(signal: AbortSignal): Promise<never> {
  return new Promise((_, reject) => {
    signal.throwIfAborted();
    signal.addEventListener('abort', () => reject(signal.reason as Error), { once: true });
  });
}
