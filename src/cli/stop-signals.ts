/**
 * Which signals tell the server to stop in order, and which one ends it at once.
 *
 * The second signal means that somebody's patience is over. A repetition within half a second does not: at a terminal,
 * Ctrl-C reaches the server from the terminal and once more from npm, which forwards it. State: volatile.
 */
export const REPETITION_MS = 500;

export interface StopActions {
  readonly first: (signal: NodeJS.Signals) => void;
  readonly second: (signal: NodeJS.Signals) => void;
}

/** @param now monotonic milliseconds. */
export function createStopSignals(now: () => number, { first, second }: StopActions): (signal: NodeJS.Signals) => void {
  let firstAt: number | undefined;
  return (signal) => {
    if (firstAt === undefined) {
      firstAt = now();
      first(signal);
    } else if (now() - firstAt >= REPETITION_MS) second(signal);
  };
}
