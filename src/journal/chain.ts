/**
 * The hash chain of a journal lane, as anyone can compute it from stored rows:
 *
 *     hash = sha256( previous hash, sha256(content), head, "\n", meta )      hashes as 64 hex digits, texts as UTF-8
 *     head = JSON [version, lane, laneSeq, offset, at, kind] without white space
 *     previous hash of laneSeq 1 = sha256("troupe journal lane " and the lane's name)
 *
 * Two hashes of fixed length come first and the head holds no line feed, so no two different entries make the same bytes.
 * Of the content only the digest goes in: content may be blanked when its digest is kept, and the chain still verifies.
 */
import { hash } from 'node:crypto';
import { quote } from '../protocol/quote.ts';
import type { EntryRecord } from './entry.ts';

/** Hash of `record`, whose predecessor in the lane has the hash `previous`. */
export function chainHash(previous: string, record: EntryRecord): string {
  return hash(
    'sha256',
    `${previous}${record.digest ?? contentDigest(record.content)}${head(record)}\n${record.meta}`,
    'hex',
  );
}

/** What stands for the predecessor of a lane's first entry. Bound to the name, so that no lane passes for another one. */
export function genesis(lane: string): string {
  return hash('sha256', `troupe journal lane ${lane}`, 'hex');
}

/** Hex sha256: what the chain covers of a content, and what a blanked entry keeps of it. */
export function contentDigest(content: string): string {
  return hash('sha256', content, 'hex');
}

function head({ version, lane, laneSeq, offset, at, kind }: EntryRecord): string {
  return `[${version},${quote(lane)},${laneSeq},${offset},${at},${quote(kind)}]`;
}
