/**
 * What the SQLite journal costs: `node test/bench/journal.ts`. Not a test, nothing passes or fails here.
 *
 * The event loop's own share is what matters most: it is processor time that no other session gets. It is measured as the
 * processor time of that thread, the few calls of this file included; that of the whole process stands beside it. The first
 * rows tell how fast the machine was meanwhile, because it may be shared.
 */
import { closeSync, fdatasyncSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../../actors/entry.ts';
import type { Journal } from '../../actors/ports.ts';
import { encode } from '../../src/journal/entry.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';

const LANES = 64;
/** Entries that a tick brings; what is outstanding is handed over in batches of at most this size. */
const BATCH = 64;

const dir = mkdtempSync(join(tmpdir(), 'troupe-bench-journal-'));
const journal = createSqliteJournal({ dataDir: join(dir, 'data') });

function settled(offset: number): Entry {
  const session = `s${offset % LANES}`;
  const name = `name number ${offset} of session ${session}`;
  const id = `c-${offset}`;
  return {
    kind: 'command.settled',
    offset,
    lane: `session:${session}`,
    laneSeq: Math.ceil(offset / LANES),
    at: 1_770_000_000_000 + offset,
    commandId: id,
    commandType: 'set_session_name',
    explicitId: true,
    principal: 'local',
    mailbox: 'work',
    sessionId: session,
    success: true,
    sessionVersion: offset,
    seq: offset,
    content: {
      command: Buffer.from(JSON.stringify({ id, type: 'set_session_name', sessionId: session, name })).toString(),
      events: [{ type: 'session_changed', fields: { name } }],
    },
  };
}

/** Microseconds of processor time so far: of all threads, and of the event loop. */
function processor(): { readonly all: number; readonly loop: number } {
  const [all, loop] = [process.cpuUsage(), process.threadCpuUsage()];
  return { all: all.user + all.system, loop: loop.user + loop.system };
}

/** The same, for each of `count`, since `before`. */
function processorSince(before: ReturnType<typeof processor>, count: number): [loop: number, all: number] {
  const now = processor();
  return [(now.loop - before.loop) / count, (now.all - before.all) / count];
}

function percentile(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

let written = 0;

interface Run {
  readonly seconds: number;
  readonly micros: [loop: number, all: number];
  readonly latencies: number[];
}

function appendAll(target: Journal, outstanding: number, total: number): Promise<Run> {
  const entries = Array.from({ length: total }, (_, index) => settled(written + index + 1));
  written += total;
  const batch = Math.min(outstanding, BATCH);
  const latencies: number[] = [];
  const startedAt = performance.now();
  const before = processor();
  let handed = 0;
  let committed = 0;
  return new Promise((resolve, reject) => {
    const hand = (): void => {
      const some = entries.slice(handed, handed + batch);
      handed += some.length;
      const from = performance.now();
      target.append(some, (error) => {
        if (error !== undefined) return reject(error);
        latencies.push(performance.now() - from);
        committed += some.length;
        if (handed < total) hand();
        else if (committed === total) {
          const seconds = (performance.now() - startedAt) / 1_000;
          const micros = processorSince(before, total);
          resolve({ seconds, micros, latencies: latencies.sort((a, b) => a - b) });
        }
      });
    };
    for (let batches = Math.max(1, outstanding / batch); batches > 0; batches -= 1) hand();
  });
}

function syncs(count: number): number[] {
  const file = openSync(join(dir, 'syncs'), 'w');
  const line = Buffer.alloc(400, 'x');
  const times: number[] = [];
  for (let index = 0; index < count; index += 1) {
    const from = performance.now();
    writeSync(file, line);
    fdatasyncSync(file);
    times.push(performance.now() - from);
  }
  closeSync(file);
  return times.sort((a, b) => a - b);
}

/** Microseconds of one call of `work`. */
function each(count: number, work: (index: number) => void): number {
  for (let index = 0; index < count; index += 1) work(index);
  const before = processor();
  for (let index = 0; index < count; index += 1) work(index);
  return processorSince(before, count)[0];
}

function row(name: string, ...columns: (string | number)[]): void {
  const cells = columns.map((cell) =>
    (typeof cell === 'number' ? cell.toFixed(cell < 100 ? 2 : 0) : cell).padStart(13),
  );
  console.log(name.padEnd(26) + cells.join(''));
}

try {
  const sample = settled(1);
  row('us on one thread', 'processor');
  row(
    'JSON.stringify(entry)',
    each(100_000, () => void JSON.stringify(sample)),
  );
  row(
    'encode(entry)',
    each(100_000, () => void encode(sample)),
  );
  console.log();

  await journal.open();
  row('append, outstanding', 'entries/s', 'p50 ms', 'p99 ms', 'loop us', 'all us');
  const sync = syncs(500);
  row('write + fdatasync', '', percentile(sync, 0.5), percentile(sync, 0.99));
  for (const [outstanding, total] of [
    [1, 2_000],
    [64, 100_000],
    [1_024, 200_000],
  ] as const) {
    const { seconds, micros, latencies } = await appendAll(journal, outstanding, total);
    row(String(outstanding), ...[total / seconds, percentile(latencies, 0.5), percentile(latencies, 0.99), ...micros]);
  }
  console.log();

  const startedAt = performance.now();
  const before = processor();
  let read = 0;
  let rows = await journal.scan({ after: 0, limit: 4_096 });
  for (; rows.length > 0; rows = await journal.scan({ after: read, limit: 4_096 })) {
    read = rows[rows.length - 1]?.entry.offset ?? read;
  }
  row('scan', 'entries/s', 'loop us', 'all us');
  row('all of it, in pages', read / ((performance.now() - startedAt) / 1_000), ...processorSince(before, read));
} finally {
  await journal.close();
  rmSync(dir, { recursive: true, force: true });
}
