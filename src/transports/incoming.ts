/**
 * The incoming frames of one WebSocket: some now, the rest when it is their turn, in the order in which they came.
 *
 * One read of a socket brings hundreds of frames. As many as pass the turnstile at a stretch are taken at once, the others
 * wait. A socket with much waiting is not read from. State: volatile.
 */

import type { Turnstile } from './turnstile.ts';

/** Frames of one connection at a stretch. */
const STRETCH_FRAMES_MAX = 8;
/** Beyond that the socket is not read from; what it has brought already comes on top. */
const WAITING_BYTES_MAX = 256 * 1024;

export interface Source {
  pause(): void;
  resume(): void;
}

export class Incoming {
  readonly #turnstile: Turnstile;
  readonly #source: Source;
  readonly #take: (frame: Buffer) => void;
  #waiting: Buffer[] = [];
  /** Those of `#waiting` before it were taken. */
  #first = 0;
  #waitingBytes = 0;
  #paused = false;
  /** Frames taken at a stretch in turn `#turn`. */
  #taken = 0;
  #turn = -1;

  constructor(turnstile: Turnstile, source: Source, take: (frame: Buffer) => void) {
    this.#turnstile = turnstile;
    this.#source = source;
    this.#take = take;
  }

  /** Takes the frame, now or when it is its turn. */
  add(frame: Buffer): void {
    if (this.#first === this.#waiting.length && this.#mayPass()) {
      this.#take(frame);
      return;
    }
    this.#waiting.push(frame);
    this.#waitingBytes += frame.length;
    if (this.#waitingBytes > WAITING_BYTES_MAX && !this.#paused) {
      this.#paused = true;
      this.#source.pause();
    }
    this.#turnstile.wait(this);
  }

  /** The next stretch of those that wait. */
  resume(): void {
    for (let count = 0; count < STRETCH_FRAMES_MAX && this.#turnstile.pass(); count += 1) {
      if (!this.#takeNext()) return;
    }
    if (this.#first < this.#waiting.length) this.#turnstile.wait(this);
  }

  /** Nothing more comes: all that waits is taken. */
  end(): void {
    this.#turnstile.leave(this);
    while (this.#takeNext());
  }

  #mayPass(): boolean {
    const { turn } = this.#turnstile;
    if (this.#turn !== turn) {
      this.#turn = turn;
      this.#taken = 0;
    }
    if (this.#taken === STRETCH_FRAMES_MAX || !this.#turnstile.pass()) return false;
    this.#taken += 1;
    return true;
  }

  /** False when it was the last one. */
  #takeNext(): boolean {
    const frame = this.#waiting[this.#first];
    if (frame === undefined) return false;
    this.#first += 1;
    this.#waitingBytes -= frame.length;
    const more = this.#first < this.#waiting.length;
    if (!more) {
      this.#waiting = [];
      this.#first = 0;
    }
    if (this.#paused && this.#waitingBytes === 0) {
      this.#paused = false;
      this.#source.resume();
    }
    this.#take(frame);
    return more;
  }
}
