/**
 * Why a server closes a WebSocket, and what its client should do then.
 *
 * The standard codes keep their standard meaning. In the private range the code itself says when to come back, so that a
 * client needs no table and a proxy can speak it: 4000-4099 never, 4100-4199 at once, 42NN after NN seconds. State: none.
 */
export const closeCodes = {
  /** The server stops, or the client's heartbeat stopped: connect again. */
  goingAway: 1001,
  /** Authentication, Host or Origin refused, or a message in too many pieces: the same again fails in the same way. */
  policyViolation: 1008,
  /** A frame was so large that the transport did not take it in; the next one may be smaller. */
  tooLarge: 1009,
  /** A defect of the server; what was acknowledged is stored. */
  internalError: 1011,
  /** No room for another connection or an unfinished frame, or this one did not even take its responses; they are stored. */
  tryAgainLater: 1013,
} as const;

/** `afterMs` is the least wait before the first try; a client adds jitter and backs off while tries fail. */
export type ReconnectHint = { readonly reconnect: false } | { readonly reconnect: true; readonly afterMs: number };

/** What any close code asks of a client, those of other implementations and of the network (1006) included. */
export function reconnectHint(code: number): ReconnectHint {
  if (code >= 4000 && code <= 4099) return { reconnect: false };
  if (code >= 4100 && code <= 4199) return { reconnect: true, afterMs: 0 };
  if (code >= 4200 && code <= 4299) return { reconnect: true, afterMs: (code - 4200) * 1000 };
  if (code === 1000 || code === closeCodes.policyViolation) return { reconnect: false };
  if (code === closeCodes.tryAgainLater) return { reconnect: true, afterMs: 5000 };
  return { reconnect: true, afterMs: 1000 };
}
