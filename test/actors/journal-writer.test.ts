/** Entries get their place, those of a tick are one batch, and a failure is the end of it. */
import { describe, expect, it } from 'vitest';
import type { Entry, EntryDraft } from '../../actors/entry.ts';
import { JournalWriter } from '../../actors/journal-writer.ts';
import type { Journal } from '../../actors/ports.ts';
import { ReleaseQueue } from '../../actors/release-queue.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';

const draft = (): EntryDraft => ({ kind: 'server.stopped', boot: 1, content: {} });

function bench() {
  const clock = createSimulatedClock();
  const releases = new ReleaseQueue((error) => {
    throw error;
  });
  const failures: Error[] = [];
  const batches: { entries: readonly Entry[]; done: (error?: Error) => void }[] = [];
  const journal = { append: (entries, done) => batches.push({ entries, done }) } as Partial<Journal> as Journal;
  const writer = new JournalWriter(journal, clock, releases, (error) => failures.push(error));
  return { clock, releases, failures, batches, writer };
}

describe('the journal writer', () => {
  it('numbers entries without gaps, over all and per lane', () => {
    const { writer } = bench();
    writer.resume(40, [['a', 7]]);
    const places = ['a', 'b', 'a'].map((lane) => writer.append(lane, draft()));
    expect(places.map(({ offset, lane, laneSeq }) => [offset, lane, laneSeq])).toEqual([
      [41, 'a', 8],
      [42, 'b', 1],
      [43, 'a', 9],
    ]);
  });

  it('hands the entries of one tick over together, and says which batch they wait for', () => {
    const { writer, clock, batches, releases } = bench();
    writer.append('a', draft());
    expect(writer.newestBatch).toBe(1);
    writer.append('b', draft());
    expect(writer.newestBatch).toBe(1);
    expect(batches).toHaveLength(0);
    clock.flush();
    expect(batches.map(({ entries }) => entries.length)).toEqual([2]);
    writer.append('a', draft());
    expect(writer.newestBatch).toBe(2);
    batches[0]!.done();
    expect(releases.durable).toBe(1);
    clock.flush();
    batches[1]!.done();
    expect(releases.durable).toBe(2);
    expect(writer.newestBatch).toBe(2);
  });

  it('piles up no more than a bounded number of batches before a disk that hangs', () => {
    const { writer, clock, batches } = bench();
    for (let tick = 0; tick < 200; tick += 1) {
      writer.append('a', draft());
      clock.flush();
    }
    expect(batches.length).toBeLessThanOrEqual(64);
    const before = batches.length;
    const open = 200 - before;
    batches[0]!.done();
    clock.flush();
    expect(batches).toHaveLength(before + 1);
    expect(batches.at(-1)!.entries).toHaveLength(open);
  });

  it('is settled when nothing is open or under way', async () => {
    const { writer, clock, batches } = bench();
    await writer.settled();
    writer.append('a', draft());
    let settled = false;
    const waiting = writer.settled().then(() => (settled = true));
    clock.flush();
    await Promise.resolve();
    expect(settled).toBe(false);
    batches[0]!.done();
    await waiting;
    expect(settled).toBe(true);
  });

  it('fails once, for all that waits and all that comes', async () => {
    const { writer, clock, batches, failures, releases } = bench();
    let released = 0;
    writer.append('a', draft());
    releases.hold(writer.newestBatch, () => (released += 1));
    clock.flush();
    writer.append('a', draft());
    clock.flush();
    const waiting = writer.settled();
    batches[0]!.done(new Error('disk full'));
    batches[1]!.done(new Error('disk full'));
    await expect(waiting).rejects.toThrow('disk full');
    await expect(writer.settled()).rejects.toThrow('disk full');
    writer.append('a', draft());
    clock.flush();
    expect(batches).toHaveLength(2);
    expect(failures).toHaveLength(1);
    expect(writer.writable).toBe(false);
    expect(released).toBe(0);
  });

  it('records nothing after it was closed', () => {
    const { writer, clock, batches } = bench();
    writer.close();
    writer.append('a', draft());
    clock.flush();
    expect(batches).toEqual([]);
  });

  it('goes on with a lane where the journal says when it has forgotten it', () => {
    const { writer } = bench();
    writer.append('a', draft());
    writer.forget('a', 1);
    expect(writer.knows('a')).toBe(false);
    writer.adopt('a', 12);
    expect(writer.append('a', draft())).toMatchObject({ laneSeq: 13 });
  });

  it('does not forget a lane that has gone on since', () => {
    const { writer } = bench();
    writer.append('a', draft());
    writer.append('a', draft());
    writer.forget('a', 1);
    expect(writer.laneSeq('a')).toBe(2);
  });
});
