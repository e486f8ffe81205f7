/**
 * The sockets of a listener that are with no transport: each has a place among so many, and when these are taken the oldest
 * loses its own. One that comes to talk does so within milliseconds, so whoever opens sockets and says nothing shuts out
 * himself alone. State: volatile.
 */
import type { Server } from 'node:http';
import type { Socket } from 'node:net';

/** Sockets that say nothing, beside as many as there may be clients: all of these may come at once. */
const SPARE_SOCKETS = 64;

export class HttpPlaces {
  readonly #waiting = new Set<Socket>();
  readonly #socketsMax: number;

  constructor(server: Server, connectionsMax: number) {
    this.#socketsMax = connectionsMax + SPARE_SOCKETS;
    server.on('connection', (socket: Socket) => {
      socket.once('close', () => this.#waiting.delete(socket));
      this.#give(socket);
    });
    server.on('upgrade', ({ socket }) => this.#waiting.delete(socket));
  }

  /** The socket is with a transport, which counts its clients, until the returned function is called. */
  take(socket: Socket): () => void {
    this.#waiting.delete(socket);
    return () => {
      if (!socket.destroyed) this.#give(socket);
    };
  }

  #give(socket: Socket): void {
    this.#waiting.add(socket);
    if (this.#waiting.size <= this.#socketsMax) return;
    const [oldest] = this.#waiting;
    if (oldest === undefined) return;
    this.#waiting.delete(oldest);
    oldest.destroy();
  }
}
