/**
 * The heartbeat of one connection: carries pings and pongs between its chart and the transport.
 *
 * A root actor of its own beside the connection's: it can be looked at, stops with the connection, and its last word is one
 * callback. State: volatile.
 */
import type { Actor } from 'xstate';
import { heartbeatMachine, type HeartbeatEvent, type HeartbeatInput } from '../machines/heartbeat.ts';
import type { Host, Intent } from './host.ts';
import type { Pulse } from './ports.ts';

export class Heartbeat {
  readonly #host: Host;
  readonly #pulse: Pulse;
  readonly #lost: () => void;
  readonly #actor: Actor<typeof heartbeatMachine>;
  /** A ping is out. Pongs that nobody asked for end at this flag: a flood of them causes no transition. */
  #pinged = false;

  /** `lost` is called once, when the client gives no sign of life any more. */
  constructor(host: Host, connectionId: string, limits: HeartbeatInput, pulse: Pulse, lost: () => void) {
    this.#host = host;
    this.#pulse = pulse;
    this.#lost = lost;
    this.#actor = host.start(heartbeatMachine, `heartbeat:${connectionId}`, limits, (intent) => this.#perform(intent));
  }

  ponged(): void {
    if (!this.#pinged) return;
    this.#pinged = false;
    this.#tell({ type: 'pong.received' });
  }

  /** Nothing is asked any more, and nothing told. Idempotent. */
  stop(): void {
    this.#host.stop(this.#actor);
  }

  #tell(event: HeartbeatEvent): void {
    // What was to be read may be there only after the end.
    if (this.#actor.getSnapshot().status !== 'active') return;
    for (const intent of this.#host.collect(() => this.#actor.send(event))) this.#perform(intent);
  }

  #tellProgress(): void {
    this.#tell({ type: 'progress.read', progress: this.#pulse.progress });
  }

  #perform({ type }: Intent): void {
    switch (type) {
      case 'sendPing':
        this.#pinged = true;
        this.#pulse.ping();
        this.#tellProgress();
        return;
      case 'readProgress':
        this.#pulse.whenRead(() => this.#tellProgress());
        return;
      case 'endConnection':
        this.#lost();
        return;
      default:
        throw new Error(`A heartbeat does not know how to perform '${type}'.`);
    }
  }
}
