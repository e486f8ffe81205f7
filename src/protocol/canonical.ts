/**
 * The text of a command from which its fingerprint is taken: what makes two frames the same command.
 *
 * Keys are sorted, white space is gone, and what may differ between two tries of one command is left out. Two frames are
 * the same command exactly if their canonical texts are equal; a fingerprint is the sha256 of it. Pure.
 */
import { quote } from './quote.ts';

/** Fields of the envelope that do not count. Of nested objects every field counts. */
const LEFT_OUT: ReadonlySet<string> = new Set(['id', 'idempotencyKey', 'traceparent', 'respond']);

/** `text` has passed the intake: it is an object, and not nested deeper than that allows. */
export function canonicalCommand(text: string): string {
  return writeObject(JSON.parse(text) as Record<string, unknown>, LEFT_OUT);
}

function write(value: unknown): string {
  if (typeof value === 'string') return quote(value);
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  if (Array.isArray(value)) return `[${value.map(write).join(',')}]`;
  return writeObject(value as Record<string, unknown>, undefined);
}

function writeObject(value: Record<string, unknown>, leftOut: ReadonlySet<string> | undefined): string {
  const fields: string[] = [];
  for (const name of Object.keys(value).sort()) {
    if (!leftOut?.has(name)) fields.push(`${quote(name)}:${write(value[name])}`);
  }
  return `{${fields.join(',')}}`;
}
