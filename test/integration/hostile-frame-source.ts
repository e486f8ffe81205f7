/**
 * Frames that nobody sends on purpose, drawn from a seed: right ones with a wrong field, right texts with wrong bytes, and
 * things that were never a frame. Each comes with the id that its answer has to echo, found out by other means than the
 * server's own.
 */
import { isDeepStrictEqual } from 'node:util';
import type { Random } from './random.ts';

export interface HostileFrame {
  readonly data: string | Buffer;
  /** What the response has to carry as `id`, as JSON; `none` where there is no id that could be read. */
  readonly id: string;
}

export const NO_ID = 'none';
/** The server never writes out what is nested deeper, so it echoes no such id. */
const NESTING_MAX = 64;
const LARGE_CHARS = 1024 * 1024;
const SESSIONS = ['s', 't', 'u', '__proto__'];
const NAMES = ['__proto__', 'constructor', 'prototype', 'toString', 'hasOwnProperty', 'then', 'toJSON', '', ' ', 'a.b'];
const FIELDS = [
  'type id sessionId dependsOn idempotencyKey ifSessionVersion message name input engine topics after limit respond',
  'traceparent labels cwd cursor level filters direction kind deltas scope order types',
]
  .join(' ')
  .split(' ');
/** Bytes that end texts, lines, strings or numbers for some reader. */
const BYTES = [0x00, 0x0a, 0x0d, 0x1b, 0x22, 0x5c, 0x7b, 0x7d, 0x5b, 0x5d, 0x2c, 0x80, 0xc0, 0xed, 0xfe, 0xff];

const nested = (levels: number, open: string, inner: string, close: string): string =>
  open.repeat(levels) + inner + close.repeat(levels);

export class HostileFrameSource {
  readonly #random: Random;
  readonly #commands: readonly string[];
  readonly #prefix: string;
  #drawn = 0;

  /** `prefix` keeps the ids of several sources apart. */
  constructor(random: Random, commands: readonly string[], prefix: string) {
    this.#random = random;
    this.#commands = commands;
    this.#prefix = prefix;
  }

  next(): HostileFrame {
    const data = this.#frame();
    return { data, id: idIn(data) };
  }

  #frame(): string | Buffer {
    const random = this.#random;
    const kind = random.below(100);
    if (kind < 35) return this.#encoded(JSON.stringify(this.#command()));
    if (kind < 50) return this.#encoded(this.#mangledText(JSON.stringify(this.#command())));
    if (kind < 70) return this.#mangledBytes(Buffer.from(JSON.stringify(this.#command())));
    if (kind < 80) return this.#encoded(this.#deep());
    if (kind < 85) return this.#garbage();
    if (kind < 99) return this.#encoded(JSON.stringify(this.#value(3)));
    return this.#encoded(this.#large());
  }

  /** Text that is no UTF-8 would cost the connection; what is a string is, and everything is allowed in a binary frame. */
  #encoded(text: string): string | Buffer {
    return this.#random.chance(50) ? text : Buffer.from(text);
  }

  #command(): Record<string, unknown> {
    const random = this.#random;
    this.#drawn += 1;
    const frame: Record<string, unknown> = {
      type: random.pick(this.#commands),
      id: `${this.#prefix}-${this.#drawn}`,
      sessionId: random.pick(SESSIONS),
    };
    if (random.chance(50)) frame['message'] = 'm';
    if (random.chance(30)) frame['name'] = 'n';
    for (let count = random.below(4); count > 0; count -= 1) {
      // Defined, because to set `__proto__` is to lose it.
      const name = random.chance(80) ? random.pick(FIELDS) : random.pick(NAMES);
      Object.defineProperty(frame, name, {
        value: this.#value(3),
        enumerable: true,
        configurable: true,
        writable: true,
      });
    }
    return frame;
  }

  #value(levels: number): unknown {
    const random = this.#random;
    switch (random.below(levels > 0 ? 12 : 8)) {
      case 0:
        return null;
      case 1:
        return random.chance(50);
      case 2:
        return random.pick([0, -0, -1, 1.5, 1e300, -1e-300, 2 ** 53, 2 ** 31, random.below(1_000)]);
      case 3:
        return random.pick(['\ud800', '\udfff', '\0', 'a\0b', '\u2028', '\ufeff', '\u202e', '😀', 'x'.repeat(300)]);
      case 4:
        return random.pick(NAMES);
      case 5:
        return random.pick(SESSIONS);
      case 6:
        return `${this.#prefix}-${1 + random.below(Math.max(1, this.#drawn))}`;
      case 7:
        return random.pick(['lifecycle', 'sessions', 'echo', 'scripted', 'accepted', 'own', 'off', 'high', '/tmp']);
      case 8:
      case 9:
        return Array.from({ length: random.below(5) }, () => this.#value(levels - 1));
      default: {
        const names = Array.from({ length: random.below(4) }, () => random.pick([...NAMES, ...FIELDS]));
        return Object.fromEntries(names.map((name) => [name, this.#value(levels - 1)]));
      }
    }
  }

  #mangledText(text: string): string {
    const random = this.#random;
    const at = random.below(text.length);
    switch (random.below(6)) {
      case 0:
        return text.slice(0, at);
      case 1:
        return text.slice(0, at) + text.slice(at + 1 + random.below(10));
      case 2:
        return (
          text.slice(0, at) +
          random.pick(['\0', '\ud800', '\\ud800', '\\u0000', '\u2028', '"', '\\', ',']) +
          text.slice(at)
        );
      case 3:
        return text + random.pick(['\0', '}', text, '\n', ' ', ',', '\ufeff']);
      case 4:
        return random.pick(['\ufeff', '\0', ' \n\t', '[', '"', '//']) + text;
      default:
        return text.replace(/"([^"]*)":/, (_, name: string) => `"${name}":1,"${name}":`);
    }
  }

  #mangledBytes(bytes: Buffer): Buffer {
    const random = this.#random;
    for (let count = 1 + random.below(4); count > 0; count -= 1) {
      const at = random.below(bytes.length);
      bytes[at] = random.chance(60) ? random.pick(BYTES) : bytes[at]! ^ (1 << random.below(8));
    }
    return bytes;
  }

  #deep(): string {
    const random = this.#random;
    const levels = random.pick([60, 62, 63, 64, 65, 66, 100, 1_000, 10_000]);
    const arrays = nested(levels, '[', '1', ']');
    const objects = nested(levels, '{"a":', '1', '}');
    this.#drawn += 1;
    const id = `"${this.#prefix}-${this.#drawn}"`;
    return random.pick([
      arrays,
      objects,
      '['.repeat(levels),
      '{"a":'.repeat(levels),
      `{"type":"ping","id":${id},"x":${arrays}}`,
      `{"type":"create_session","id":${id},"input":${objects}}`,
      `{"type":"ping","id":${arrays}}`,
      `{"type":${objects},"id":${id}}`,
    ]);
  }

  #garbage(): Buffer {
    const random = this.#random;
    return Buffer.from(Array.from({ length: random.below(200) }, () => random.below(256)));
  }

  #large(): string {
    const random = this.#random;
    const long = random.pick(['x', '\0', '\ud800', '"', '😀']).repeat(LARGE_CHARS / 4);
    const name = random.pick(['message', 'name', 'id', 'x', 'sessionId', 'input', 'labels']);
    return JSON.stringify({ ...this.#command(), [name]: random.chance(70) ? long : Array.from(long.slice(0, 50_000)) });
  }
}

/** The id that can be read from a frame, by the rules of the protocol. */
function idIn(data: string | Buffer): string {
  const bytes = Buffer.from(data);
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes));
  } catch {
    return NO_ID;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value) || !Object.hasOwn(value, 'id')) return NO_ID;
  const { id } = value as { id: unknown };
  if (typeof id === 'object' && depthOf(value) > NESTING_MAX) return NO_ID;
  return JSON.stringify(id);
}

/** Levels of arrays and objects, found without recursion. */
function depthOf(value: unknown): number {
  let depth = 0;
  for (let level: unknown[] = [value]; level.length > 0; depth += 1) {
    const containers = level.filter((item): item is object => typeof item === 'object' && item !== null);
    if (containers.length === 0) return depth;
    level = containers.flatMap((item) => Object.values(item) as unknown[]);
  }
  return depth;
}

/** Ids that were awaited and did not come, and ids that came and were not awaited. */
export function difference(awaited: ReadonlyMap<string, number>, came: ReadonlyMap<string, number>): string[] {
  if (isDeepStrictEqual(awaited, came)) return [];
  return [...new Set([...awaited.keys(), ...came.keys()])]
    .filter((id) => awaited.get(id) !== came.get(id))
    .map((id) => `${id.slice(0, 80)}: ${awaited.get(id) ?? 0} sent, ${came.get(id) ?? 0} answered`);
}
