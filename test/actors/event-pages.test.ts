/** Events of a session are found in the journal by their numbers: in memory and in SQLite alike, in few steps. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it, onTestFinished } from 'vitest';
import type { Entry, JournalReader } from '../../actors/entry.ts';
import type { Journal } from '../../actors/ports.ts';
import { EventPages } from '../../actors/session/event-pages.ts';
import { createMemoryJournal } from '../../src/journal/memory.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';

/** What lies in the journal one after the other: so many events in one entry, none, or an entry of another lane. */
type Piece = number | 'nothing' | 'other';

function entriesOf(pieces: readonly Piece[]): { entries: Entry[]; count: number } {
  const entries: Entry[] = [];
  const lanes = new Map<string, number>();
  let seq = 0;
  const add = (lane: string, fields: object): void => {
    const laneSeq = (lanes.get(lane) ?? 0) + 1;
    lanes.set(lane, laneSeq);
    entries.push({ offset: entries.length + 1, lane, laneSeq, at: 1_000 + entries.length, ...fields } as Entry);
  };
  const command = { commandType: 'x', explicitId: false, principal: 'p', mailbox: 'work', success: true } as const;
  const settled = (content: object, fields: object = {}): object => ({
    kind: 'command.settled',
    commandId: `c${entries.length}`,
    ...command,
    ...fields,
    content: { command: '{}', ...content },
  });
  add('server', { kind: 'server.started', boot: 1, serverVersion: '0', content: {} });
  // One that had the name before.
  add(
    'session:s',
    settled({ events: [{ type: 'old' }], facts: [{ type: 'session.closed', reason: 'deleted' }] }, { seq: 1 }),
  );
  add('session:s', settled({ facts: [{ type: 'session.opened' }] }));
  for (const piece of pieces) {
    if (piece === 'other') add('session:o', settled({ events: [{ type: 'foreign' }] }, { seq: 1 }));
    else if (piece === 'nothing') add('session:s', settled({}));
    else if (piece === 1) {
      seq += 1;
      const event = { type: 'e', number: seq };
      add('session:s', { kind: 'session.event', sessionId: 's', seq, eventType: 'e', content: { event } });
    } else {
      const events = Array.from({ length: piece }, (_, index) => ({ type: 'e', number: seq + index + 1 }));
      seq += piece;
      add('session:s', settled({ events }, { seq }));
    }
  }
  return { entries, count: seq };
}

async function fill(journal: Journal, entries: readonly Entry[]): Promise<void> {
  await journal.open();
  await new Promise<void>((resolve, reject) => {
    journal.append(entries, (error) => (error === undefined ? resolve() : reject(error)));
  });
}

async function numbersOf(pages: EventPages, from: number, to: number, last: number): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { seq, event } of pages.events(from, to, last)) {
    expect(event).toEqual({ type: 'e', number: seq });
    numbers.push(seq);
  }
  return numbers;
}

const piece: fc.Arbitrary<Piece> = fc.oneof(
  { weight: 4, arbitrary: fc.constant(1) },
  { weight: 2, arbitrary: fc.integer({ min: 2, max: 5 }) },
  { weight: 2, arbitrary: fc.constant<Piece>('nothing') },
  { weight: 4, arbitrary: fc.constant<Piece>('other') },
);

const runs = fc
  .array(fc.tuple(piece, fc.integer({ min: 1, max: 300 })), { maxLength: 12 })
  .map((some) => some.flatMap(([one, times]) => Array.from({ length: times }, () => one)));

const range = (from: number, to: number): number[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => from + index);

const OPENED = { id: 's', openedOffset: 3 };

describe.each(['memory', 'sqlite'])('in %s, events', (kind) => {
  it('are found by their numbers, whatever lies between them', { timeout: 60_000 }, async () => {
    await fc.assert(
      fc.asyncProperty(runs, fc.nat(), fc.nat(), async (pieces, a, b) => {
        const { entries, count } = entriesOf(pieces);
        const dataDir = mkdtempSync(join(tmpdir(), 'troupe-pages-'));
        const journal = kind === 'memory' ? createMemoryJournal() : createSqliteJournal({ dataDir });
        await fill(journal, entries);
        const pages = new EventPages(journal, OPENED);
        const from = 1 + (a % (count + 1));
        const to = Math.max(from, 1 + (b % (count + 1)));
        expect(await numbersOf(pages, from, to, entries.length)).toEqual(range(from, Math.min(to, count)));
        await journal.close();
        rmSync(dataDir, { recursive: true, force: true });
      }),
      { numRuns: kind === 'memory' ? 60 : 8 },
    );
  });
});

describe.each(['memory', 'sqlite'])('in %s, what was blanked', (kind) => {
  it('is not among the events, and the search finds its way over it', async () => {
    const { entries, count } = entriesOf([...range(1, 200).map(() => 1 as const), 3, 'nothing', 1, 1]);
    const dataDir = mkdtempSync(join(tmpdir(), 'troupe-pages-'));
    onTestFinished(() => rmSync(dataDir, { recursive: true, force: true }));
    const journal = kind === 'memory' ? createMemoryJournal() : createSqliteJournal({ dataDir });
    await fill(journal, entries);
    const threeAtOnce = entries.find(
      ({ kind: of, ...rest }) => of === 'command.settled' && 'seq' in rest && rest.seq === 203,
    )!;
    await journal.blank({ through: threeAtOnce.offset, lane: 'session:s', keepOpenings: true });
    const pages = new EventPages(journal, OPENED);
    expect(await numbersOf(pages, 1, count, entries.length)).toEqual([204, 205]);
    expect(await numbersOf(pages, 150, count, entries.length)).toEqual([204, 205]);
    expect(await numbersOf(pages, 205, count, entries.length)).toEqual([205]);
    await journal.close();
  });
});

describe('the search', () => {
  async function counted(pieces: readonly Piece[]) {
    const { entries, count } = entriesOf(pieces);
    const journal = createMemoryJournal();
    onTestFinished(() => journal.close());
    await fill(journal, entries);
    let read = 0;
    const scan: JournalReader['scan'] = async (asked) => {
      const found = await journal.scan(asked);
      read += found.length;
      return found;
    };
    return { pages: new EventPages({ scan }, OPENED), entries, count, read: () => read };
  }

  it('reads some entries of ten thousand', async () => {
    const { pages, entries, count, read } = await counted(range(1, 10_000).map((n) => (n % 3 === 0 ? 'other' : 1)));
    await pages.seek(count - 2_000, entries.length);
    expect(read()).toBeLessThan(200);
  });

  it('reads a long stretch without events once', async () => {
    const quiet: Piece[] = range(1, 3_000).map(() => 'nothing');
    const { pages, entries, read } = await counted([1, 1, ...quiet, 1, ...quiet, 1]);
    await pages.seek(3, entries.length);
    expect(read()).toBeLessThan(6_600);
  });

  it('stops where the next session of that name begins', async () => {
    const { pages, entries } = await counted([1, 1]);
    const journal = createMemoryJournal();
    onTestFinished(() => journal.close());
    const next = { ...entries[2]!, offset: entries.length + 1, laneSeq: 5 } as Entry;
    const event = { ...entries[3]!, offset: entries.length + 2, laneSeq: 6, seq: 3 } as Entry;
    await fill(journal, [...entries, next, event]);
    expect(await numbersOf(pages, 1, 9, entries.length)).toEqual([1, 2]);
    expect(await numbersOf(new EventPages(journal, OPENED), 1, 9, entries.length + 2)).toEqual([1, 2]);
  });
});
