/** The bytes of a write-ahead log as numbers, and SQLite's checksum over them. State: volatile. */
import { endianness } from 'node:os';

/** The two halves of a checksum. */
export type Sum = readonly [number, number];

export function same(a: Sum, b: Sum): boolean {
  return a[0] === b[0] && a[1] === b[1];
}

/** Bytes as 32-bit numbers: big-endian in the file's fields, either way in its checksums. */
export class Words {
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #native: Uint32Array;

  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
    this.#native = new Uint32Array(bytes.buffer);
  }

  number(at: number): number {
    return this.#view.getUint32(at);
  }

  pair(at: number): Sum {
    return [this.number(at), this.number(at + 4)];
  }

  /** SQLite's checksum of `length` bytes at `at`, going on from `before`. */
  sum(before: Sum, at: number, length: number, bigEndian: boolean): Sum {
    let [one, two] = before;
    if (bigEndian === (endianness() === 'BE')) {
      for (let word = at / 4; word < (at + length) / 4; word += 2) {
        one = (one + (this.#native[word] as number) + two) >>> 0;
        two = (two + (this.#native[word + 1] as number) + one) >>> 0;
      }
    } else {
      for (let byte = at; byte < at + length; byte += 8) {
        one = (one + this.#view.getUint32(byte, !bigEndian) + two) >>> 0;
        two = (two + this.#view.getUint32(byte + 4, !bigEndian) + one) >>> 0;
      }
    }
    return [one, two];
  }
}
