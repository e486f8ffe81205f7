/**
 * All command types of a server, by name. Built once, from a list; unknown names and names of `Object.prototype` are simply
 * not there. State: none after construction.
 */
import type { Command } from './command.ts';

export interface Registry {
  get(type: string): Command | undefined;
  readonly types: readonly string[];
}

/** @throws Error when two contracts claim one type: that is a mistake in the program. */
export function createRegistry(commands: readonly Command[]): Registry {
  const byType = new Map<string, Command>();
  for (const command of commands) {
    if (byType.has(command.type)) throw new Error(`Two commands are called '${command.type}'.`);
    byType.set(command.type, command);
  }
  return { get: (type) => byType.get(type), types: [...byType.keys()] };
}
