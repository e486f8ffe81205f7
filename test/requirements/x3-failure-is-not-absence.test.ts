/**
 * X3: a failure of the store is never told as "not found" or as an empty answer. Held at the adapters, whose reads reject, and
 * at every command whose answer needs the store: history, verification, stored outcomes, the past of a session's name, and all
 * that a server could say of sessions while it cannot read them.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { afterEach, describe, expect, it } from 'vitest';
import type { Journal } from '../../actors/ports.ts';
import { catalog } from '../../src/commands/catalog.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { createHeldJournal } from '../../src/testing/held-journal.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import type { Frame } from '../support/world.ts';
import { createWorld } from '../support/world.ts';
import { createFaultyJournal } from './faulty-ports.ts';

/** A thread and a disk of a busy machine take their time. */
const PATIENCE_MS = 15_000;

const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0).toReversed()) await close();
});

function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-x3-'));
  closers.push(async () => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** What a disk that lost its data looks like to SQLite: the file is there, and what is asked for cannot be read. */
function loseTables(dataDir: string): void {
  const other = new Database(join(dataDir, 'journal.db'));
  other.pragma('foreign_keys = OFF');
  for (const table of ['places', 'entries', 'lanes']) other.exec(`DROP TABLE ${table}`);
  other.close();
}

/** An open SQLite journal with some entries, and the way to lose them. */
async function sqliteJournal(): Promise<{ journal: Journal; lose: () => void }> {
  const dataDir = join(temporaryFolder(), 'data');
  const journal = createSqliteJournal({ dataDir });
  closers.push(() => journal.close());
  return { journal, lose: () => loseTables(dataDir) };
}

const READS: Readonly<Record<string, (journal: Journal) => Promise<unknown>>> = {
  'scan of everything': (journal) => journal.scan({ after: 0, limit: 10 }),
  'scan of a lane': (journal) => journal.scan({ after: 0, limit: 10, lane: 'server' }),
  read: (journal) => journal.read(1),
  'head of a lane that is there': (journal) => journal.head('server'),
  'head of a lane that is not': (journal) => journal.head('session:new'),
  verify: (journal) => journal.verify(1),
};

async function withEntries(journal: Journal): Promise<void> {
  await journal.open();
  const source = new EntrySource();
  const started = { kind: 'server.started', boot: 1, serverVersion: '0', content: {} } as const;
  await commit(journal, [source.next('server', started)]);
}

interface Failing {
  readonly journal: Journal;
  /** From now on it can't be read. */
  readonly lose: () => void | Promise<void>;
}

const FAILING: Readonly<Record<string, () => Promise<Failing>>> = {
  'SQLite that lost its tables': sqliteJournal,
  'SQLite that is closed': async () => {
    const { journal } = await sqliteJournal();
    return { journal, lose: () => journal.close() };
  },
  'memory that is closed': async () => {
    const journal = createMemoryJournal();
    return { journal, lose: () => journal.close() };
  },
  'a journal whose thread died': async () => {
    const journal = createHeldJournal(createMemoryJournal());
    journal.pass();
    return { journal, lose: () => journal.die(new Error('the thread of the journal ended')) };
  },
};

describe('X3: an adapter whose store fails', () => {
  it.each(Object.entries(FAILING))(
    'X3: (%s) rejects each read or says the truth, and never none',
    async (_name, make) => {
      const { journal, lose } = await make();
      await withEntries(journal);
      const truths = new Map<string, unknown>();
      for (const [read, ask] of Object.entries(READS)) truths.set(read, await ask(journal));
      await lose();
      let rejected = 0;
      for (const [read, ask] of Object.entries(READS)) {
        const answer = await (async () => ask(journal))().catch((error: unknown) => error);
        // A report tells of what can't be read; what is kept in memory is as true as before.
        if (answer instanceof Error) rejected += 1;
        else if (isReport(answer)) expect(answer, read).toMatchObject({ ok: false });
        else expect(answer, read).toEqual(truths.get(read));
      }
      expect(rejected).toBeGreaterThan(0);
    },
  );
});

function isReport(answer: unknown): boolean {
  return typeof answer === 'object' && answer !== null && 'ok' in answer;
}

/** A server on a SQLite journal with a session `s` and one that was deleted; nothing of an outcome is kept in memory. */
async function createServerOnSqlite() {
  const { journal, lose } = await sqliteJournal();
  const world = createWorld({ journal, limits: { idempotencyCacheBytesMax: 1 } });
  const until = async <T>(found: () => T | undefined): Promise<T> => {
    const giveUpAt = performance.now() + PATIENCE_MS;
    while (performance.now() < giveUpAt) {
      await world.advance(10);
      const value = found();
      if (value !== undefined) return value;
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
    throw new Error('Nothing came.');
  };
  let up: true | undefined;
  void world.system.start().then(() => (up = true));
  await until(() => up);
  const client = world.connect();
  let asked = 0;
  const ask = async (command: object): Promise<Frame> => {
    const id = `ask-${(asked += 1)}`;
    const from = client.frames.length;
    client.send({ id, ...command });
    const wanted = 'id' in command ? command.id : id;
    return until(() => client.frames.slice(from).find(({ type, id }) => type === 'response' && id === wanted));
  };
  await ask({ type: 'create_session', sessionId: 's' });
  await ask({ type: 'set_session_name', id: 'rename', idempotencyKey: 'key', sessionId: 's', name: 'named' });
  await ask({ type: 'prompt', sessionId: 's', message: 'hello' });
  await ask({ type: 'create_session', sessionId: 'gone' });
  await ask({ type: 'delete_session', sessionId: 'gone' });
  return { world, ask, lose };
}

describe('X3: a server whose journal cannot be read', () => {
  /** Fields that are other ones each time. */
  const VOLATILE = ['get_metrics', 'ping', 'health_check'];
  const reads = catalog.filter(({ lane, type }) => lane === 'read' && !/subscribe$/.test(type));

  it('X3: answers each read as before, or with JOURNAL_UNAVAILABLE', async () => {
    const { ask, lose } = await createServerOnSqlite();
    const askAll = async (): Promise<Map<string, Frame>> => {
      const answers = new Map<string, Frame>();
      for (const { type } of reads) answers.set(type, await ask({ type, sessionId: 's' }));
      return answers;
    };
    const before = await askAll();
    expect([...before.values()].filter(({ success }) => success !== true)).toEqual([]);
    lose();
    const refused: string[] = [];
    for (const [type, answer] of await askAll()) {
      // It was asked what is wrong with the journal, and says so.
      if (type === 'verify_journal' && isReport(answer['data'])) {
        expect(answer['data']).toMatchObject({ ok: false });
        continue;
      }
      if (answer['success'] === true) {
        if (!VOLATILE.includes(type)) expect(answer['data'], type).toEqual(before.get(type)!['data']);
        continue;
      }
      expect(answer['errorCode'], type).toBe('JOURNAL_UNAVAILABLE');
      expect(answer, type).not.toHaveProperty('data');
      refused.push(type);
    }
    expect(refused).toContain('get_command_history');
  });

  it.each([
    ['filters of a session', { sessionIdFilter: 's' }],
    ['a command that is there', { commandId: 'rename' }],
    ['a command that never was', { commandId: 'never' }],
    ['pages backward', { direction: 'backward' }],
  ])('X3: has no empty history for %s', async (_name, filters) => {
    const { ask, lose } = await createServerOnSqlite();
    lose();
    const answer = await ask({ type: 'get_command_history', ...filters });
    expect(answer).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    expect(answer).not.toHaveProperty('data');
  });

  it('X3: neither runs a known command again nor says that it is unknown', async () => {
    const { ask, lose } = await createServerOnSqlite();
    const again = { type: 'set_session_name', idempotencyKey: 'key', sessionId: 's', name: 'named' };
    expect(await ask({ ...again, id: 'rename' })).toMatchObject({ success: true, replayed: true });
    lose();
    expect(await ask({ ...again, id: 'rename' })).toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    expect(await ask({ ...again, id: 'other' })).toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    expect(await ask({ type: 'get_state', sessionId: 's' })).toMatchObject({ data: { sessionVersion: 2 } });
  });

  it('X3: makes no session whose past it could not look up', async () => {
    const { ask, lose } = await createServerOnSqlite();
    lose();
    for (const sessionId of ['gone', 'new']) {
      expect(await ask({ type: 'create_session', sessionId })).toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    }
    const listed = await ask({ type: 'list_sessions' });
    const { total } = (listed['data'] ?? {}) as { total?: number };
    expect([1, 'JOURNAL_UNAVAILABLE']).toContain(total ?? listed['errorCode']);
  });
});

describe('X3: a server that cannot look up the past of a name, and could write', () => {
  it('X3: makes no session of that name, as if it had no past', async () => {
    const store = createMemoryStore();
    const journal = createFaultyJournal(createMemoryJournal({ store }));
    const world = createWorld({ store, journal });
    const started = world.system.start();
    await world.advance(10);
    await started;
    const client = world.connect();
    journal.fail('head', new Error('planted fault'));
    client.send({ type: 'create_session', id: 'create', sessionId: 's' });
    await world.advance(10);
    expect(client.response('create')).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    client.send({ type: 'list_sessions', id: 'list' });
    await world.settle();
    expect(client.response('list')).toMatchObject({ data: { sessions: [], total: 0 } });
  });
});

describe('X3: a server that lost its journal and cannot open it again', () => {
  it('X3: never says that a session is not there, to no command', async () => {
    const world = createWorld();
    await world.start();
    const client = world.connect();
    client.send({ type: 'create_session', id: 'create', sessionId: 's' });
    await world.settle();
    world.journal.refuseToOpen(new Error('gone'));
    world.journal.die(new Error('the thread of the journal ended'));
    client.send({ type: 'set_session_name', id: 'touch', sessionId: 's', name: 'x' });
    await world.advance(1_000);
    const required = { name: 'n', message: 'm', topics: ['lifecycle'] };
    for (const { type } of catalog) {
      client.send({ ...required, type, id: `blind-${type}`, ...(type !== 'create_session' && { sessionId: 's' }) });
      await world.settle();
    }
    const answers = catalog.map(({ type }) => ({ type, answer: client.response(`blind-${type}`) }));
    expect(answers.filter(({ answer }) => answer === undefined)).toEqual([]);
    const refused = answers.filter(({ answer }) => answer!['success'] !== true);
    expect(new Set(refused.map(({ answer }) => String(answer!['errorCode'])))).toEqual(
      new Set(['JOURNAL_UNAVAILABLE']),
    );
    const ofSessions = catalog.filter(
      ({ target, type }) => target !== 'server' && !/^(abort|detach_session)$/.test(type),
    );
    expect(refused.map(({ type }) => type)).toEqual(expect.arrayContaining(ofSessions.map(({ type }) => type)));
    expect(refused.map(({ type }) => type)).toEqual(
      expect.arrayContaining(['list_sessions', 'get_command_history', 'verify_journal']),
    );
  });
});
