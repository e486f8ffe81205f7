/**
 * What a check of a journal finds: nothing in what a server wrote, and in a damaged or forged one the entry that is wrong.
 */
import { beforeAll, describe, expect, it } from 'vitest';
import type { CommandSettled, Entry, JournalProblem, JournalReport } from '../../actors/entry.ts';
import { chainHash, genesis } from '../../src/journal/chain.ts';
import { encode } from '../../src/journal/entry.ts';
import type { EntryRecord } from '../../src/journal/entry.ts';
import { Verification, verifyPages } from '../../src/journal/verify.ts';
import type { StoredRecord } from '../../src/journal/verify.ts';
import { eventfulEntries, eventfulRun } from '../support/eventful-run.ts';
import { createScene } from '../support/scene.ts';

let run: readonly StoredRecord[];
let entries: readonly Entry[];
beforeAll(async () => {
  run = (await eventfulRun()).rows.filter((row) => row !== undefined);
  entries = await eventfulEntries();
});

function verify(rows: readonly StoredRecord[], idsMax = 1_000): JournalReport {
  const verification = new Verification({ idsMax });
  for (const row of rows) verification.take(row);
  return verification.end();
}

/** Rows whose chain is as a server would have written it, whatever the entries say. */
function chained(forged: readonly Entry[]): StoredRecord[] {
  const heads = new Map<string, string>();
  return forged.map((entry) => {
    const record = encode(entry);
    const hash = chainHash(heads.get(record.lane) ?? genesis(record.lane), record);
    heads.set(record.lane, hash);
    return { record, hash };
  });
}

/** The first entry with these fields. */
function find(fields: Record<string, unknown>): Entry {
  const found = entries.find((entry) =>
    Object.entries(fields).every(([name, value]) => (entry as unknown as Record<string, unknown>)[name] === value),
  );
  if (found === undefined) throw new Error(`The run has no entry with ${JSON.stringify(fields)}.`);
  return found;
}

/** What is found when one entry says something else, under a chain that fits. */
function forging(entry: Entry, changes: object): readonly JournalProblem[] {
  const forged = entries.map((each) => (each === entry ? { ...each, ...changes } : each));
  return verify(chained(forged)).problems;
}

/** Entries behind the last one, each in its place. */
function appending(...drafts: readonly (Partial<Entry> & { readonly lane: string })[]): readonly JournalProblem[] {
  const forged = [...entries];
  for (const draft of drafts) {
    const laneSeq = forged.filter(({ lane }) => lane === draft.lane).length + 1;
    forged.push({ at: 1, ...draft, offset: forged.length + 1, laneSeq } as Entry);
  }
  return verify(chained(forged)).problems;
}

function at({ lane, laneSeq, offset }: Entry, problem: unknown): JournalProblem {
  return { lane, laneSeq, offset, problem: problem as string };
}

const saying = (text: string): unknown => expect.stringContaining(text) as unknown;

describe('a journal that a server wrote', () => {
  it('is clean, and the report says how much was checked', () => {
    const report = verify(run);
    expect(report.problems).toEqual([]);
    expect(report).toMatchObject({ ok: true, entries: run.length, lanes: 3, boots: 3, lastOffset: run.length });
    expect(report).toMatchObject({ sessions: 2, openCommands: 0, problemCount: 0 });
    expect(report.commands).toBe(report.outcomes);
    expect(report.commands).toBeGreaterThan(15);
    expect(report.events).toBeGreaterThan(8);
  });

  it('is clean at each place where a crash could have cut it', () => {
    for (let length = 0; length < run.length; length += 1) expect(verify(run.slice(0, length)).problems).toEqual([]);
  });

  it('is clean when nothing was written', () => {
    expect(verify([])).toMatchObject({ ok: true, entries: 0, lanes: 0, lastOffset: 0 });
  });

  it('may use an id again that its server has forgotten, and not before', () => {
    const again = { ...(find({ commandId: 'lost' }) as CommandSettled), laneSeq: 0 };
    expect(appending(again)).toHaveLength(1);
    const copy = {
      ...again,
      offset: entries.length + 1,
      laneSeq: entries.filter(({ lane }) => lane === 'server').length + 1,
    };
    expect(verify(chained([...entries, copy]), 5).problems).toEqual([]);
  });
});

describe('a row that was changed is found by its hash, and it alone', () => {
  const edits: readonly [string, (record: EntryRecord) => Partial<EntryRecord>][] = [
    ['meta', ({ meta }) => ({ meta: meta.replace('"principal":"local"', '"principal":"other"') })],
    ['content', ({ content }) => ({ content: content.replace('set_session_name', 'set_session_nama') })],
    ['time', ({ at }) => ({ at: at + 1 })],
    ['kind', () => ({ kind: 'turn.released' })],
    ['version', () => ({ version: 1.5 })],
  ];

  it.each(edits)('%s', (_what, edit) => {
    const target = find({ commandId: 'name' });
    const rows = run.map((row) =>
      row.record.offset === target.offset ? { ...row, record: { ...row.record, ...edit(row.record) } } : row,
    );
    const found = verify(rows).problems;
    expect(found[0]).toEqual(at(target, saying('hash')));
  });

  it('its hash itself: it does not follow, and neither does the next one in its lane', () => {
    const target = find({ commandId: 'name' });
    const next = entries.find(({ lane, laneSeq }) => lane === target.lane && laneSeq === target.laneSeq + 1)!;
    const rows = run.map((row) => (row.record.offset === target.offset ? { ...row, hash: '0'.repeat(64) } : row));
    expect(verify(rows).problems).toEqual([at(target, saying('hash')), at(next, saying('hash'))]);
  });

  it('content of every single row', () => {
    for (const { record } of run) {
      const rows = run.map((row) => (row.record === record ? { ...row, record: { ...record, content: '{} ' } } : row));
      const { ok, problems } = verify(rows);
      expect(ok).toBe(false);
      expect(problems[0]).toMatchObject({ lane: record.lane, laneSeq: record.laneSeq, offset: record.offset });
    }
  });
});

describe('rows that are not where they were', () => {
  it('one that was removed is named by its offset, and the next one of its lane by its place', () => {
    const target = find({ commandId: 'name' });
    const { problems } = verify(run.filter(({ record }) => record.offset !== target.offset));
    expect(problems[0]).toEqual({ offset: target.offset, problem: `offset ${target.offset} is missing` });
    expect(problems).toContainEqual(
      expect.objectContaining({
        lane: target.lane,
        problem: `follows laneSeq ${target.laneSeq - 1} in its lane`,
      }),
    );
  });

  it('every single one but the last, when it is removed', () => {
    for (const { record } of run.slice(0, -1)) {
      const { problems } = verify(run.filter((row) => row.record !== record));
      expect(problems[0]).toMatchObject({ offset: record.offset });
    }
  });

  it('several that were removed are told once', () => {
    const { problems } = verify(run.filter(({ record }) => record.offset < 4 || record.offset > 7));
    expect(problems[0]).toEqual({ offset: 4, problem: 'offsets 4 to 7 are missing' });
  });

  it('two that were swapped are both named', () => {
    const [first, second] = [find({ commandId: 'name' }), find({ commandId: 'wrong' })];
    const swapped = run.map(({ record, hash }) => {
      const other = record.offset === first.offset ? second : record.offset === second.offset ? first : undefined;
      return other === undefined ? { record, hash } : { record: { ...record, offset: other.offset }, hash };
    });
    const { problems } = verify(swapped.toSorted((a, b) => a.record.offset - b.record.offset));
    const offsets = new Set(problems.map(({ offset }) => offset));
    expect([...offsets].toSorted((a, b) => a - b)).toEqual(expect.arrayContaining([first.offset, second.offset]));
  });

  it('one that was copied is in the way of the next', () => {
    const copied = run.flatMap((row) => (row.record.offset === 5 ? [row, row] : [row]));
    expect(verify(copied).problems[0]).toMatchObject({ problem: 'offset 5 comes after 5' });
  });
});

describe('what cannot be so although every hash fits', () => {
  it('a second outcome of a command that was accepted', () => {
    const target = find({ kind: 'command.finished', commandId: 'p' });
    const [problem, ...others] = appending({ ...target });
    expect(problem).toMatchObject({ offset: entries.length + 1, problem: saying('gives p an outcome') });
    expect(others.every(({ offset }) => offset === entries.length + 1)).toBe(true);
  });

  it('a second outcome of a command that was settled at once', () => {
    const target = find({ kind: 'command.settled', commandId: 'wrong' });
    const problem = `accepts wrong again, which offset ${target.offset} accepted`;
    expect(appending({ ...target })).toEqual([
      expect.objectContaining({ lane: target.lane, offset: entries.length + 1, problem }),
    ]);
  });

  it.each([
    ['a version that is left out', { sessionVersion: 2 }, 'makes version 2 of version 0'],
    ['a version that comes twice', { sessionVersion: 0 }, 'makes version 0 of version 0'],
    ['no version', { sessionVersion: undefined }, 'makes version undefined of version 0'],
    ['an event number that is left out', { seq: 2 }, 'event 2 follows event 0'],
    ['success with a code', { errorCode: 'INTERNAL_ERROR' }, 'succeeds with an error code'],
    ['another session', { sessionId: 'other' }, 'is about session other'],
  ])('%s', (_what, changes, text) => {
    const target = find({ commandId: 'name' });
    expect(forging(target, changes)[0]).toEqual(at(target, text));
  });

  it('a number of a single event', () => {
    const target = find({ kind: 'session.event', commandId: 'p' }) as Extract<Entry, { kind: 'session.event' }>;
    expect(forging(target, { seq: target.seq + 1 })[0]).toEqual(
      at(target, `event ${target.seq + 1} follows event ${target.seq - 1}`),
    );
  });

  it('a command that starts before it was accepted, or twice', () => {
    const target = find({ kind: 'command.started', commandId: 'p' });
    expect(forging(target, { acceptedOffset: 1 })[0]).toEqual(
      at(target, 'starts p, which offset 1 does not hold open'),
    );
    expect(forging(target, { attempt: 2 })).toEqual([at(target, 'attempt 2 follows 0')]);
  });

  it('an outcome of another command, or of a command of another type', () => {
    const target = find({ kind: 'command.finished', commandId: 'p' });
    expect(forging(target, { commandId: 'q' })[0]).toEqual(at(target, saying('gives q an outcome')));
    expect(forging(target, { commandType: 'bash' })).toEqual([at(target, 'ends a bash, not a prompt')]);
  });

  it('a dependant that acted before what it depends on was accepted', () => {
    const dependant = find({ commandId: 'name' });
    const dependency = find({ kind: 'command.accepted', commandId: 'p' });
    const text = `acts before p, which it depends on and offset ${dependency.offset} accepts`;
    expect(forging(dependant, { dependsOn: ['p'] })).toEqual([at(dependant, text)]);
  });

  it('a dependant that acted before what it depends on had its outcome', () => {
    const dependency = find({ kind: 'command.accepted', commandId: 'p' });
    const dependant = find({ commandId: 'late', kind: 'command.accepted' });
    const end = find({ commandId: 'late', kind: 'command.finished' });
    const before = find({ kind: 'command.finished', commandId: 'p' });
    expect(forging(dependant, { dependsOn: ['p'] })).toEqual([]);
    // The dependency's end says that another command ended: the dependency is still open when the dependant acts.
    const open = entries.map((entry) =>
      entry === before ? { ...entry, commandId: 'q' } : entry === dependant ? { ...entry, dependsOn: ['p'] } : entry,
    ) as Entry[];
    const text = `acts although p of offset ${dependency.offset}, which it depends on, has no outcome yet`;
    expect(verify(chained(open)).problems).toContainEqual(at(end, text));
  });

  it('a dependant that acted although what it depends on had failed', () => {
    const dependency = find({ commandId: 'lost' });
    const dependant = find({ commandId: 'after-read' });
    const text = `acts although lost of offset ${dependency.offset}, which it depends on, failed`;
    expect(forging(dependant, { dependsOn: ['lost'] })).toEqual([at(dependant, text)]);
  });

  it('a turn that started before what it depends on succeeded', () => {
    const accepted = find({ kind: 'command.accepted', commandId: 'p' });
    const started = find({ kind: 'command.started', commandId: 'p' });
    expect(forging(accepted, { dependsOn: ['wrong'] })).toEqual([at(started, saying('wrong of offset'))]);
  });

  it('events, successes and versions of a session that is not there', () => {
    const lane = 'session:ghost';
    const event = {
      kind: 'session.event',
      lane,
      sessionId: 'ghost',
      seq: 1,
      eventType: 'agent_start',
      content: {},
    } as const;
    const settled = {
      ...find({ commandId: 'name' }),
      lane,
      commandId: 'ghostly',
      sessionId: 'ghost',
      dependsOn: undefined,
    };
    expect(appending(event as never)).toMatchObject([{ lane, problem: 'has events of a session that is not there' }]);
    const problems = appending(settled as never).map(({ problem }) => problem);
    expect(problems).toEqual([
      'makes version 1 of nothing',
      'succeeds on a session that is not there',
      'has events of a session that is not there',
    ]);
  });

  it('a session that is opened while it is there, and one that begins with a version', () => {
    const target = find({ commandId: 'create' });
    expect(forging(target, { sessionVersion: 3 })[0]).toEqual(at(target, 'opens a session at version 3'));
    expect(appending({ ...target, commandId: 'reborn' } as never)[0]).toMatchObject({
      problem: 'opens a session that is there',
    });
  });

  it('a boot that is left out, and a recovery that counts wrong', () => {
    const second = entries.filter(({ kind }) => kind === 'server.started')[1]!;
    expect(forging(second, { boot: 4 })[0]).toEqual(at(second, 'boot 4 follows boot 1'));
    const recovered = entries.filter(({ kind }) => kind === 'server.recovered')[1]!;
    expect(forging(recovered, { classified: 9, requeued: 7 }).map(({ problem }) => problem)).toEqual([
      saying('counts 9 classified'),
      saying('counts 7 taken back'),
    ]);
  });

  it('a kind that nobody knows, and content that is none', () => {
    const target = find({ commandId: 'name' });
    expect(forging(target, { kind: 'command.dreamt' })[0]).toMatchObject({ offset: target.offset });
    const started = find({ kind: 'command.finished', commandId: 'p' });
    expect(forging(started, { content: null })[0]).toEqual(at(started, saying('does not read as a command.finished')));
  });
});

describe('a report', () => {
  it('lists the first thousand problems and counts all', () => {
    const rows = Array.from({ length: 1_500 }, () => run[0]!);
    const report = verify(rows);
    expect(report.problems).toHaveLength(1_000);
    expect(report.problemCount).toBeGreaterThan(1_400);
  });
});

describe('beside a running server', () => {
  it('reads page by page, up to where it was told', async () => {
    const limits: number[] = [];
    const read = async (after: number, limit: number): Promise<readonly StoredRecord[]> => {
      limits.push(limit);
      return run.slice(after, after + limit);
    };
    const source = { read, anchors: async () => [], remains: async () => [] };
    expect(await verifyPages(source, 7)).toMatchObject({ ok: true, entries: 7 });
    expect(limits).toEqual([7]);
    expect(await verifyPages(source, run.length)).toMatchObject({ ok: true, entries: run.length });
    expect(Math.max(...limits)).toBeLessThanOrEqual(128);
  });

  it('names the rows that cannot be read, and checks the others', async () => {
    const read = async (after: number, limit: number): Promise<readonly StoredRecord[]> => {
      if (after < 5 && after + limit >= 5) throw new Error('bad block');
      return run.slice(after, after + limit);
    };
    const report = await verifyPages({ read, anchors: async () => [], remains: async () => [] }, run.length);
    expect(report.entries).toBe(run.length - 1);
    expect(report.problems[0]).toEqual({ offset: 5, problem: "can't be read: bad block" });
  });

  it('verify_journal answers what it found, to operators alone', async () => {
    const { send, response, world } = await createScene();
    await send({ type: 'verify_journal', id: 'v' });
    expect(response('v')).toMatchObject({
      success: true,
      data: {
        ok: true,
        entries: world.store.rows.length,
        sessions: 1,
        problemCount: 0,
        problems: [],
        journal: 'memory',
      },
    });
    const { rows } = world.store;
    const last = rows.at(-1)!;
    rows[rows.length - 1] = { ...last, record: { ...last.record, at: 1 } };
    await send({ type: 'verify_journal', id: 'w' });
    const { lane, laneSeq, offset } = last.record;
    expect(response('w')).toMatchObject({
      success: true,
      data: { ok: false, problemCount: 1, problems: [{ lane, laneSeq, offset }] },
    });
    const observer = world.connect({ id: 'observer', scopes: ['observe', 'drive'] });
    observer.send({ type: 'verify_journal', id: 'x' });
    expect(observer.response('x')).toMatchObject({ errorCode: 'FORBIDDEN' });
  });
});
