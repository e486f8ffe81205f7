/** Which fields of which commands are never stored, as their classes say. State: none. */
import { dataClassOf } from '../protocol/data-class.ts';
import type { Command } from './command.ts';

/** By the type of the command; commands without such a field are left out. */
export function secretFields(commands: readonly Command[]): ReadonlyMap<string, ReadonlySet<string>> {
  const found = new Map<string, ReadonlySet<string>>();
  for (const { type, schema } of commands) {
    const secret = Object.keys(schema.shape).filter((name) => dataClassOf(schema.shape[name]) === 'secret');
    if (secret.length > 0) found.set(type, new Set(secret));
  }
  return found;
}
