import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { chainHash, genesis } from '../../src/journal/chain.ts';
import { encode } from '../../src/journal/entry.ts';
import type { EntryRecord } from '../../src/journal/entry.ts';
import { fingerprint } from '../../src/journal/fingerprint.ts';
import { chainOffence } from '../../src/testing/chain-offence.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';

const sha256 = (text: string): string => createHash('sha256').update(text, 'utf8').digest('hex');
const record = encode(new EntrySource().next('session:"ż"'));

describe('the hash chain', () => {
  it('can be computed by anyone from the row alone, as chain.ts says', () => {
    const { version, lane, laneSeq, offset, at, kind, meta, content } = record;
    const head = JSON.stringify([version, lane, laneSeq, offset, at, kind]);
    const previous = sha256(`troupe journal lane ${lane}`);
    expect(genesis(lane)).toBe(previous);
    expect(chainHash(previous, record)).toBe(sha256(`${previous}${sha256(content)}${head}\n${meta}`));
  });

  const changes: { readonly [field in keyof EntryRecord]: EntryRecord[field] } = {
    version: 2,
    offset: 2,
    lane: 'session:b',
    laneSeq: 2,
    at: 1,
    kind: 'command.finished',
    meta: `${record.meta} `,
    content: `${record.content} `,
  };

  it.each(Object.entries(changes))('depends on %s', (field, value) => {
    const previous = genesis(record.lane);
    expect(chainHash(previous, { ...record, [field]: value })).not.toBe(chainHash(previous, record));
  });

  it('depends on the entry before', () => {
    expect(chainHash(genesis('a'), record)).not.toBe(chainHash(genesis('b'), record));
  });
});

describe('the check of the chain that other tests rely on', () => {
  const source = new EntrySource();
  let hash = genesis('server');
  const stored = source.batch(4, 'server').map((entry) => {
    hash = chainHash(hash, encode(entry));
    const { command } = entry.content as { command: string };
    return { entry, hash, fingerprint: fingerprint(command) };
  });
  const changed = (index: number, change: object): string | undefined =>
    chainOffence(stored.map((each, at) => (at === index ? { ...each, ...change } : each)));

  it('finds nothing wrong with a chain', () => {
    expect(chainOffence(stored)).toBeUndefined();
  });

  it.each([
    ['an entry that was changed', { entry: { ...stored[1]?.entry, at: 1 } }, 'offset 2, laneSeq 2 of server: its hash'],
    ['a hash that was changed', { hash: genesis('server') }, 'offset 2, laneSeq 2 of server: its hash'],
    ['a fingerprint that was changed', { fingerprint: undefined }, 'offset 2, laneSeq 2 of server: its fingerprint'],
    [
      'a hole',
      { entry: { ...stored[1]?.entry, laneSeq: 3 } },
      'offset 2, laneSeq 3 of server: the laneSeq before is 1',
    ],
    ['a missing entry', { entry: { ...stored[2]?.entry } }, 'offset 3, laneSeq 3 of server: the offset before is 1'],
  ])('finds %s', (_what, change, says) => {
    expect(changed(1, change)).toContain(says);
  });
});
