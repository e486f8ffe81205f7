/**
 * What is kept of commands whose entries are dropped: who asked for what under which id and key, and how it ended, without content.
 * By that an id that comes again is known, and answered.
 *
 * A row of it is an entry that was blanked, with the hash of the entry before it, so that it proves by itself that it is what was
 * written. Pure.
 */
import { contentDigest } from './chain.ts';
import { encodeParsed, parseContent } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { fingerprint } from './fingerprint.ts';
import { residueOf } from './residue.ts';

export interface RemainRecord {
  /** With the digest of its content, as it was. */
  readonly record: EntryRecord;
  readonly hash: string;
  /** Of the command as received, of an entry that carried one. */
  readonly fingerprint: string | undefined;
  /** Hash of the entry before it in its lane. */
  readonly previous: string;
}

interface Names {
  readonly explicitId?: boolean;
  readonly idempotencyKey?: string;
  readonly fingerprint?: string;
}

/** `undefined` of what nobody asks for once it is gone. @param print what is stored of its fingerprint, if anything is. */
export function remainOf(
  record: EntryRecord,
  hash: string,
  previous: string,
  print?: string,
): RemainRecord | undefined {
  const { kind, meta, content } = record;
  if (kind !== 'command.accepted' && kind !== 'command.settled' && kind !== 'command.finished') return undefined;
  const names = JSON.parse(meta) as Names;
  // The acceptance knows whether anybody can ask for it; its outcome does not.
  if (kind !== 'command.finished' && names.explicitId !== true && names.idempotencyKey === undefined) return undefined;
  const { command } = parseContent(content);
  const known = print ?? names.fingerprint ?? (command === undefined ? undefined : fingerprint(command));
  const digest = record.digest ?? contentDigest(content);
  return { record: { ...record, content: leftOf(kind, content), digest }, hash, fingerprint: known, previous };
}

/** Less than what blanking leaves: it is folded by nobody. */
function leftOf(kind: EntryRecord['kind'], content: string): string {
  const { command, rest } = parseContent(residueOf(kind, content));
  const { events: _events, facts: _facts, ...left } = rest;
  return encodeParsed({ command, rest: left });
}
