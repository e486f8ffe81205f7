/**
 * Finds out whether a peer that says nothing is still there: a ping every `intervalMs`, and an end after `timeoutMs` without
 * a pong or any other sign of life.
 *
 * Signs of life other than a pong count because a pong can be late through no fault of the peer: it can't answer in the
 * middle of a large frame of its own, nor before it has read what was queued for it before the ping. State: volatile.
 */
import type { Clock } from '../../actors/ports.ts';

export interface HeartbeatOptions {
  readonly intervalMs: number;
  readonly timeoutMs: number;
}

export interface Pulse {
  ping(): void;
  /** Any figure that changes when the peer takes or gives bytes. */
  progress(): number;
  /** Called once, when the peer is gone. */
  lost(): void;
}

export interface Heartbeat {
  pong(): void;
  stop(): void;
}

export function startHeartbeat(clock: Clock, { intervalMs, timeoutMs }: HeartbeatOptions, pulse: Pulse): Heartbeat {
  let timer: unknown;
  let awaiting = false;
  let stopped = false;

  function rest(): void {
    awaiting = false;
    timer = clock.setTimeout(ask, intervalMs);
  }

  function ask(): void {
    awaiting = true;
    pulse.ping();
    watch();
  }

  function watch(): void {
    const before = pulse.progress();
    timer = clock.setTimeout(() => {
      // A process that was blocked or asleep runs its timers before it reads what came in meanwhile: let it read first.
      clock.defer(() => {
        if (stopped || !awaiting) return;
        if (pulse.progress() !== before) watch();
        else {
          stopped = true;
          pulse.lost();
        }
      });
    }, timeoutMs);
  }

  rest();
  return {
    pong() {
      if (stopped || !awaiting) return;
      clock.clearTimeout(timer);
      rest();
    },
    stop() {
      stopped = true;
      clock.clearTimeout(timer);
    },
  };
}
