/**
 * What a command asks for, as one hash: two commands with the same fingerprint are the same request, however their JSON was
 * written. Identity (`id`, `idempotencyKey`) and what concerns the answer alone (`traceparent`, `respond`) do not count.
 * Pure. Recursive: frames nested deeper than the protocol allows are refused long before they come here.
 */
import { hash } from 'node:crypto';
import { quote } from '../protocol/quote.ts';

const NOT_ASKED_FOR: ReadonlySet<string> = new Set(['id', 'idempotencyKey', 'traceparent', 'respond']);

/** Hex sha256 over the key-sorted JSON of `command`, a command's text as received. */
export function fingerprint(command: string): string {
  return hash('sha256', canonical(JSON.parse(command), NOT_ASKED_FOR), 'hex');
}

const NONE: ReadonlySet<string> = new Set();

function canonical(value: unknown, without: ReadonlySet<string>): string {
  if (typeof value === 'string') return quote(value);
  if (value === null || typeof value !== 'object') return String(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonical(item, NONE)).join(',')}]`;
  let text = '';
  for (const key of Object.keys(value).sort()) {
    if (without.has(key)) continue;
    text += `${text === '' ? '' : ','}${quote(key)}:${canonical((value as Record<string, unknown>)[key], NONE)}`;
  }
  return `{${text}}`;
}
