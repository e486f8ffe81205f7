/**
 * What a mailbox asks of the directory that it stands in. State: none.
 */
import type { Command } from '../command.ts';

export interface MailboxOwner<Mailbox> {
  /** Sessions that exist or are being opened. */
  readonly sessionCount: number;
  /** A session is being opened; or its opening has come to its end, whatever that is. */
  opening(): void;
  openingEnded(): void;
  /** The session exists; or no more. */
  entered(sessionId: string): void;
  left(sessionId: string): void;
  /** Nothing waits in it and it has no session. */
  emptied(mailbox: Mailbox): void;
  /** Its session is closed: what comes next belongs to another incarnation. */
  closed(mailbox: Mailbox): void;
  /** The engine has let go of the closed session. */
  released(mailbox: Mailbox): void;
  /** The incarnation before has not been let go of by its engine. */
  isReleasing(sessionId: string): boolean;
  /** It waited at the gate when the session behind it was closed: it belongs to the next incarnation. */
  passOn(command: Command): void;
}
