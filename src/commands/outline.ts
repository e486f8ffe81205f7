/**
 * What a large frame would cost to parse, found out without parsing it.
 *
 * Ten megabytes of brackets are a second of the event loop and hundreds of megabytes of objects, for a frame that is refused
 * anyway. So a large text is read once, at the speed of its bytes, for how deep it is and how many values it holds; of one that
 * is too heavy the outline is kept, its own fields without what is inside of them, so that its answer can name its id. Pure.
 */
import { NESTING_MAX } from './nesting.ts';

/** Values in a frame: far more than any command has a use for. */
export const VALUES_MAX = 100_000;
/** A shorter text has no room for much. */
export const LIGHT_BYTES_MAX = 256 * 1024;

export interface Outline {
  readonly problem: 'deep' | 'many';
  /** JSON with `null` for each array and object inside; no JSON at all if the brackets do not match in number. */
  readonly text: string;
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const BACKSLASH = 0x5c;
const OPEN_ARRAY = 0x5b;
const CLOSE_ARRAY = 0x5d;
const OPEN_OBJECT = 0x7b;
const CLOSE_OBJECT = 0x7d;

/** `undefined` for a text that may be parsed. Its bytes are UTF-8. */
export function outlineOf(utf8: Uint8Array): Outline | undefined {
  const { length } = utf8;
  if (length <= LIGHT_BYTES_MAX) return undefined;
  const bytes = Buffer.from(utf8.buffer, utf8.byteOffset, length);
  const kept: string[] = [];
  let depth = 0;
  let deepest = 0;
  let values = 0;
  /** Commas between fields of the frame itself. */
  let own = 0;
  let from = 0;
  for (let at = 0; at < length; at += 1) {
    switch (bytes[at]!) {
      case QUOTE:
        at = endOfString(bytes, at);
        break;
      case COMMA:
        values += 1;
        if (depth === 1) own += 1;
        break;
      case OPEN_ARRAY:
      case OPEN_OBJECT:
        values += 1;
        depth += 1;
        if (depth > deepest) deepest = depth;
        if (depth === 2 && own <= VALUES_MAX) kept.push(bytes.toString('utf8', from, at));
        break;
      case CLOSE_ARRAY:
      case CLOSE_OBJECT:
        depth -= 1;
        if (depth === 1) from = at + 1;
        break;
    }
  }
  if (deepest <= NESTING_MAX && values <= VALUES_MAX) return undefined;
  const problem = deepest > NESTING_MAX ? 'deep' : 'many';
  if (depth !== 0) return { problem, text: '' };
  // So many fields of its own that even the outline is heavy: nothing of it is read.
  if (own > VALUES_MAX) return { problem, text: isArray(bytes) ? '[]' : '{}' };
  kept.push(bytes.toString('utf8', from));
  return { problem, text: kept.join('null') };
}

/** Where the string that begins at `start` ends; the end of the text if it does not. */
function endOfString(bytes: Buffer, start: number): number {
  for (let at = start + 1; ;) {
    const end = bytes.indexOf(QUOTE, at);
    if (end < 0) return bytes.length;
    if (bytes[end - 1] !== BACKSLASH) return end;
    // From here on escapes are met one by one, and the last one may belong to the quote.
    let escape = end - 1;
    while (bytes[escape - 1] === BACKSLASH) escape -= 1;
    if ((end - escape) % 2 === 0) return end;
    at = end + 1;
    while (bytes[at] === BACKSLASH) at += 2;
  }
}

function isArray(bytes: Buffer): boolean {
  return bytes.toString('latin1', 0, LIGHT_BYTES_MAX).trimStart().startsWith('[');
}
