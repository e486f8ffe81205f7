/** Checks the hash chains of stored entries by computing them again. Pure. */
import type { StoredEntry } from '../../actors/ports.ts';
import { chainHash, genesis } from '../journal/chain.ts';
import { commandText, encode } from '../journal/entry.ts';
import { fingerprint } from '../journal/fingerprint.ts';

/** What is wrong with `stored`, all entries of a journal from the first; `undefined` when nothing is. */
export function chainOffence(stored: readonly StoredEntry[]): string | undefined {
  const heads = new Map<string, { readonly laneSeq: number; readonly hash: string }>();
  let offset = 0;
  for (const { entry, hash, fingerprint: print, digest } of stored) {
    const where = `offset ${entry.offset}, laneSeq ${entry.laneSeq} of ${entry.lane}`;
    const head = heads.get(entry.lane) ?? { laneSeq: 0, hash: genesis(entry.lane) };
    if (entry.offset !== offset + 1) return `${where}: the offset before is ${offset}`;
    if (entry.laneSeq !== head.laneSeq + 1) return `${where}: the laneSeq before is ${head.laneSeq}`;
    const record = { ...encode(entry), digest };
    if (hash !== chainHash(head.hash, record)) return `${where}: its hash does not follow from the one before`;
    const command = commandText(record.content);
    const known = 'fingerprint' in entry ? entry.fingerprint : undefined;
    // Of what was blanked nobody can tell it any more.
    const expected = command === undefined ? undefined : digest === undefined ? (known ?? fingerprint(command)) : print;
    if (print !== expected) return `${where}: its fingerprint is not that of its command`;
    offset = entry.offset;
    heads.set(entry.lane, { laneSeq: entry.laneSeq, hash });
  }
  return undefined;
}
