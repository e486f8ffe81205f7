/**
 * Watches that somebody listens, and listens again at the same address.
 *
 * A listener that is closed says so only when its last socket is gone, and those of WebSockets live for weeks: so it is looked
 * at now and then. State: volatile.
 */
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { Clock } from '../actors/ports.ts';

export interface Address {
  readonly host: string;
  readonly port: number;
}

const LOOK_INTERVAL_MS = 250;

export class ListenerWatch {
  readonly #listener: HttpServer;
  readonly #clock: Clock;
  readonly #onLost: (error: Error) => void;
  #address: Address | undefined;
  #timer: unknown;
  /** It was told: whoever was told listens again. */
  #lost = false;

  /** `onLost` is called once for each time that nobody listens any more. */
  constructor(listener: HttpServer, clock: Clock, onLost: (error: Error) => void) {
    this.#listener = listener;
    this.#clock = clock;
    this.#onLost = onLost;
    listener.on('close', () => this.#look());
    listener.on('error', () => this.#look());
  }

  /** From now on it has to listen there. */
  start(address: Address): void {
    this.#address = address;
    this.#lookAgain();
  }

  /** From now on it may be closed. */
  stop(): void {
    this.#address = undefined;
    this.#clock.clearTimeout(this.#timer);
  }

  /** Listens again, if nobody does; sockets that live stay. @throws what the address is refused with */
  async restart(): Promise<void> {
    const address = this.#address;
    if (address === undefined || this.#listener.listening) return;
    this.#listener.listen(address);
    await once(this.#listener, 'listening');
    this.#lost = false;
    // It was told to stop meanwhile.
    if (this.#address === undefined) this.#listener.close();
  }

  #lookAgain(): void {
    this.#timer = this.#clock.setTimeout(() => {
      this.#lookAgain();
      this.#look();
    }, LOOK_INTERVAL_MS);
  }

  #look(): void {
    const address = this.#address;
    if (address === undefined || this.#lost || this.#listener.listening) return;
    this.#lost = true;
    this.#onLost(new Error(`nobody listens on ${address.host}, port ${address.port}, any more`));
  }
}
