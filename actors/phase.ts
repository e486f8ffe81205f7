/** How far a router knows what the journal holds, and what came before it did. State: none. */
import type { Connection } from './connection.ts';
import type { ParsedCommand } from './ports.ts';

/**
 * What the router does with new commands.
 *
 * - `unread`: the journal is being read; they wait.
 * - `blind`: it can't even be read; only what needs no session is answered.
 * - `stale`: it can't be written; reads and replays are answered from what was durable last.
 * - `open`: they are admitted.
 * - `draining`: they are refused; what was admitted goes on.
 */
export type Phase = 'unread' | 'blind' | 'stale' | 'open' | 'draining';

/** A command that waits for the router to know what the journal holds. */
export interface Early {
  readonly parsed: ParsedCommand;
  readonly connection: Connection;
}
