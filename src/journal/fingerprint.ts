/**
 * What a command asks for, as one hash: the journal keeps it with each command, so that a later try of the same one can be
 * told from another command under its id when the text itself is gone. Pure.
 */
import { hash } from 'node:crypto';
import { canonicalCommand } from '../protocol/canonical.ts';

/** Hex sha256 of the canonical text of `command`, a command as received. */
export function fingerprint(command: string): string {
  return hash('sha256', canonicalCommand(command), 'hex');
}
