/** What becomes of a stored entry when it is blanked. Pure. */
import type { BlankRange } from '../../actors/ports.ts';
import { contentDigest } from './chain.ts';
import { parseContent } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import { fingerprint } from './fingerprint.ts';
import { residueOf } from './residue.ts';

export interface BlankRecord {
  readonly content: string;
  /** Of the content as it was. */
  readonly digest: string;
  /** Of the command as it was, of an entry that carried one. */
  readonly fingerprint: string | null;
}

/** `undefined`: the range is not about it, or there is nothing to be removed. */
export function blankRecord(
  record: Pick<EntryRecord, 'kind' | 'meta' | 'content'>,
  { sessionId, keepOpenings }: Pick<BlankRange, 'sessionId' | 'keepOpenings'>,
): BlankRecord | undefined {
  const { kind, meta, content } = record;
  const { sessionId: about, fingerprint: print } = JSON.parse(meta) as { sessionId?: string; fingerprint?: string };
  if (sessionId !== undefined && about !== sessionId) return undefined;
  const residue = residueOf(kind, content);
  if (residue === content) return undefined;
  const { command, rest } = parseContent(content);
  if (keepOpenings === true && opensSession(kind, rest)) return undefined;
  const known = command === undefined ? null : (print ?? fingerprint(command));
  return { content: residue, digest: contentDigest(content), fingerprint: known };
}

function opensSession(kind: EntryRecord['kind'], { facts }: Record<string, unknown>): boolean {
  if (kind === 'lane.compacted') return true;
  return Array.isArray(facts) && facts.some((fact) => (fact as { type?: unknown }).type === 'session.opened');
}
