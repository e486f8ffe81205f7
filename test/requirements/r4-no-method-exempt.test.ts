/**
 * R4: no method of a port is exempt. A failure is planted in each, and each has its row: what the client is answered, and what
 * operators see of it; or why nobody is told. A port that gets a new method does not compile here until it has a row.
 *
 * There are no circuit breakers in this version. What has to change is what is seen: the code of the answer, `issues` and
 * `healthy` of `health_check`, `journal.writable` and the counters of `get_metrics`, the log.
 */
import { describe, expect, it } from 'vitest';
import type { Observation } from '../../actors/ports.ts';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import type { Frame } from '../support/world.ts';
import { copyStore } from '../support/store.ts';
import { createWorld, limits } from '../support/world.ts';
import { createFaultyEngine, createFaultyJournal } from './faulty-ports.ts';
import type { EngineMethod, JournalMethod } from './faulty-ports.ts';

const FAULT = new Error('planted fault');
/** Longer than any wait between two tries to open the journal. */
const RECOVERY_MS = 10_000;
const WORD_MS = 1_000;

function createPlace() {
  const store = createMemoryStore();
  const journal = createFaultyJournal(createMemoryJournal({ store }));
  const engine = createFaultyEngine(createEchoEngine());
  // Outcomes are read from the journal as soon as they are there: nothing is kept beside it.
  const world = createWorld({ store, journal, engines: [engine], limits: { idempotencyCacheBytesMax: 1 } });
  return { world, journal, engine };
}

/** A server that is up, with a client and a session `s` that takes a second for each word. */
async function createFaultScene() {
  const place = createPlace();
  const { world } = place;
  await world.start();
  const client = world.connect();
  let asked = 0;
  const settled = async (): Promise<void> => {
    // A journal answers from the event loop.
    for (let round = 0; round < 5; round += 1) {
      await world.settle();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await world.advance(0);
  };
  const ask = async (command: { type: string; id?: string; [field: string]: unknown }): Promise<Frame> => {
    const id = command.id ?? `ask-${(asked += 1)}`;
    client.send({ ...command, id });
    await settled();
    const response = client.response(id);
    if (response === undefined) throw new Error(`'${command.type}' was not answered.`);
    return response;
  };
  const health = async () => (await ask({ type: 'health_check' }))['data'] as { healthy: boolean; issues: string[] };
  const metrics = async () => (await ask({ type: 'get_metrics' }))['data'] as Metrics;
  const logged = (): Observation[] => world.observations as Observation[];
  await ask({ type: 'create_session', id: 'create', sessionId: 's', input: { delayMs: WORD_MS } });
  return { ...place, client, ask, health, metrics, logged, settled };
}

interface Metrics {
  readonly journal: { readonly writable: boolean };
  readonly commands: { readonly failed: Record<string, number>; readonly refused: Record<string, number> };
  readonly supervision: { readonly restarts: number };
}

type FaultScene = Awaited<ReturnType<typeof createFaultScene>>;

interface Row {
  /** What becomes of it, as the test's name. */
  readonly does: string;
  /** Why no client and no operator is told of it, where that is so. */
  readonly exempt?: string;
  readonly check: (scene: FaultScene) => Promise<void>;
}

async function expectCompactionFails(
  { journal, ask, metrics }: FaultScene,
  method: JournalMethod,
  type = 'compact_journal',
): Promise<void> {
  await ask({ type: 'set_session_name', sessionId: 's', name: 'one more' });
  journal.fail(method, FAULT);
  expect(await ask({ type })).toMatchObject({
    errorCode: 'COMPACTION_FAILED',
    error: FAULT.message,
  });
  expect((await metrics()).journal.writable).toBe(true);
  expect(await ask({ type: 'set_session_name', sessionId: 's', name: 'goes on' })).toMatchObject({ success: true });
  journal.mend();
  expect(await ask({ type })).toMatchObject({ success: true });
}

/** A read that fails is the failure of who asked: nothing else depends on it, and the next one may succeed. */
async function expectReadFails(
  { journal, ask, health, metrics }: FaultScene,
  method: JournalMethod,
  command: { type: string; [field: string]: unknown },
): Promise<void> {
  journal.fail(method, FAULT);
  expect(await ask(command)).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
  const { commands, journal: counts } = await metrics();
  expect((commands.failed['JOURNAL_UNAVAILABLE'] ?? 0) + (commands.refused['JOURNAL_UNAVAILABLE'] ?? 0)).toBe(1);
  expect(counts.writable).toBe(true);
  expect(await ask({ type: 'set_session_name', sessionId: 's', name: 'goes on' })).toMatchObject({ success: true });
  journal.mend();
  expect(await ask(command)).not.toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
  expect(await health()).toMatchObject({ healthy: true, issues: [] });
}

/** What is only there to save reading fails nobody. */
async function expectNoCheckpoint({ journal, ask, logged, world }: FaultScene, method: JournalMethod): Promise<void> {
  journal.fail(method, FAULT);
  await ask({ type: 'set_session_name', sessionId: 's', name: 'kept' });
  await world.stop();
  expect(logged()).toContainEqual(expect.objectContaining({ message: 'checkpoint not kept', error: FAULT.message }));
  expect(world.store.checkpoints).toEqual([]);
  expect((await createWorld({ store: world.store }).start()).sessions).toBe(1);
}

async function expectFullBoot({ ask, world }: FaultScene, method: JournalMethod): Promise<void> {
  await ask({ type: 'set_session_name', sessionId: 's', name: 'kept' });
  await world.stop();
  const { store } = world;
  const journal = createFaultyJournal(createMemoryJournal({ store }));
  journal.fail(method, FAULT);
  const next = createWorld({ journal, store });
  const entries = store.rows.length;
  expect(await next.start()).toMatchObject({ sessions: 1, entriesScanned: entries });
  expect(next.observations).toContainEqual(
    expect.objectContaining({ message: 'checkpoint passed over', reason: FAULT.message }),
  );
}

const journalRows: Record<JournalMethod, Row> = {
  open: {
    does: 'keeps the server unhealthy and read-only until it succeeds',
    async check({ journal, ask, health, metrics, world }) {
      journal.fail('append', FAULT);
      journal.fail('open', new Error('still no room'));
      await ask({ type: 'set_session_name', sessionId: 's', name: 'lost' });
      await world.advance(RECOVERY_MS);
      expect(await health()).toMatchObject({ healthy: false });
      expect((await metrics()).journal.writable).toBe(false);
      expect(await ask({ type: 'get_state', sessionId: 's' })).toMatchObject({ success: true, stale: true });
      expect(await ask({ type: 'set_session_name', sessionId: 's', name: 'lost too' })).toMatchObject({
        errorCode: 'JOURNAL_UNAVAILABLE',
      });
      journal.mend();
      await world.advance(RECOVERY_MS);
      expect(await health()).toMatchObject({ healthy: true, issues: [] });
    },
  },
  append: {
    does: 'is JOURNAL_UNAVAILABLE, names the fault in the health, and is over when the journal takes entries again',
    async check({ journal, ask, health, metrics, world }) {
      journal.fail('append', FAULT);
      const rename = { type: 'set_session_name', id: 'rename', sessionId: 's', name: 'kept' };
      expect(await ask(rename)).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
      expect(await health()).toMatchObject({ healthy: false, issues: [expect.stringContaining(FAULT.message)] });
      expect((await metrics()).journal.writable).toBe(false);
      journal.mend();
      await world.advance(RECOVERY_MS);
      expect(await health()).toMatchObject({ healthy: true, issues: [] });
      const { journal: counts, supervision } = await metrics();
      expect(counts.writable).toBe(true);
      expect(supervision.restarts).toBe(1);
      // The very same frame: nothing of the first try was left behind.
      expect(await ask(rename)).toMatchObject({ success: true, sessionVersion: 1 });
    },
  },
  scan: {
    does: 'is JOURNAL_UNAVAILABLE for who asked, and for nobody else',
    check: (scene) => expectReadFails(scene, 'scan', { type: 'get_command_history' }),
  },
  backup: {
    does: 'is BACKUP_FAILED and a reason of health, and changes nothing for others',
    async check({ journal, ask, health, metrics }) {
      journal.fail('backup', FAULT);
      expect(await ask({ type: 'backup' })).toMatchObject({ errorCode: 'BACKUP_FAILED', error: FAULT.message });
      expect(await health()).toMatchObject({ healthy: false, issues: [`The last backup failed: ${FAULT.message}`] });
      expect((await metrics()).journal.writable).toBe(true);
      expect(await ask({ type: 'set_session_name', sessionId: 's', name: 'goes on' })).toMatchObject({ success: true });
    },
  },
  lanes: {
    does: 'is COMPACTION_FAILED and nothing else',
    check: (scene) => expectCompactionFails(scene, 'lanes'),
  },
  drop: {
    does: 'is COMPACTION_FAILED; the next run drops what this one could not',
    check: (scene) => expectCompactionFails(scene, 'drop'),
  },
  anchors: {
    does: 'is asked for by verify alone, inside the journal',
    exempt: 'no command asks for anchors by themselves',
    async check({ journal, ask }) {
      journal.fail('anchors', FAULT);
      expect(await ask({ type: 'set_session_name', sessionId: 's', name: 'goes on' })).toMatchObject({ success: true });
    },
  },
  remains: {
    does: 'ends a boot, because an id that is not known would run again',
    async check({ world }) {
      await world.stop();
      // Without a checkpoint, behind which there may be nothing.
      const store = copyStore(world.store);
      const journal = createFaultyJournal(createMemoryJournal({ store }));
      journal.fail('remains', FAULT);
      await expect(createWorld({ journal, store }).start()).rejects.toThrow(FAULT.message);
    },
  },
  trimRemains: {
    does: 'is COMPACTION_FAILED and nothing else',
    check: (scene) => expectCompactionFails(scene, 'trimRemains'),
  },
  size: {
    does: 'fails a retention by size, says so, and nothing else',
    check: (scene) => expectCompactionFails(scene, 'size', 'apply_retention'),
  },
  blank: {
    does: 'is JOURNAL_UNAVAILABLE for who asked for a purge, which may be asked for again, and for nobody else',
    async check({ journal, ask, health, metrics }) {
      journal.fail('blank', FAULT);
      expect(await ask({ type: 'create_session', sessionId: 'other' })).toMatchObject({ success: true });
      const purge = { type: 'purge_session', sessionId: 's' };
      const refused = await ask(purge);
      expect(refused).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
      expect(refused['error']).toContain(FAULT.message);
      expect((await metrics()).journal.writable).toBe(true);
      const rename = { type: 'set_session_name', sessionId: 'other', name: 'goes on' };
      expect(await ask(rename)).toMatchObject({ success: true });
      journal.mend();
      expect(await ask(purge)).toMatchObject({ success: true, data: { sessionId: 's', erased: true } });
      expect(await health()).toMatchObject({ healthy: true, issues: [] });
    },
  },
  read: {
    does: 'is JOURNAL_UNAVAILABLE for who repeats a command whose outcome is not at hand',
    async check(scene) {
      const repeated = { type: 'create_session', id: 'create', sessionId: 's', input: { delayMs: WORD_MS } };
      await expectReadFails(scene, 'read', repeated);
      expect(scene.logged().map(({ message }) => message)).toContain('stored outcome could not be read');
    },
  },
  head: {
    does: 'is JOURNAL_UNAVAILABLE for who makes a session of a name whose past is not known',
    async check(scene) {
      const { journal, ask } = scene;
      await expectReadFails(scene, 'head', { type: 'create_session', sessionId: 'other' });
      expect(journal.durability).toBe('volatile');
      expect(await ask({ type: 'get_state', sessionId: 'other' })).toMatchObject({ success: true });
    },
  },
  verify: {
    does: 'is JOURNAL_UNAVAILABLE for who asked, and for nobody else',
    check: (scene) => expectReadFails(scene, 'verify', { type: 'verify_journal' }),
  },
  keepSnapshot: {
    does: 'is a line in the log and a count: the session is folded from its entries when it comes back',
    async check({ journal, ask, logged, world }) {
      journal.fail('keepSnapshot', FAULT);
      await ask({ type: 'set_session_name', sessionId: 's', name: 'kept' });
      await world.advance(limits.passivationIdleMs * 2);
      expect(world.system.live).toMatchObject({ sessions: 0, passive: 1 });
      expect(logged().map(({ message }) => message)).toContain('snapshot not kept');
      const { data } = await ask({ type: 'get_metrics' });
      expect(data).toMatchObject({ snapshots: { failed: 1 }, journal: { writable: true } });
      expect(await ask({ type: 'get_state', sessionId: 's' })).toMatchObject({ data: { sessionName: 'kept' } });
    },
  },
  snapshot: {
    does: 'is a line in the log and a count: the session is folded from its entries',
    async check({ journal, ask, logged, world }) {
      await ask({ type: 'set_session_name', sessionId: 's', name: 'kept' });
      await world.advance(limits.passivationIdleMs * 2);
      journal.fail('snapshot', FAULT);
      expect(await ask({ type: 'get_state', sessionId: 's' })).toMatchObject({ data: { sessionName: 'kept' } });
      expect(logged().map(({ message }) => message)).toContain('snapshot passed over: folding anew');
      expect((await ask({ type: 'get_metrics' }))['data']).toMatchObject({ snapshots: { unfit: 1 } });
    },
  },
  keepPart: {
    does: 'is a line in the log and a count at the stop: the next boot reads more',
    check: (scene) => expectNoCheckpoint(scene, 'keepPart'),
  },
  sealCheckpoint: {
    does: 'is a line in the log and a count at the stop: the next boot reads more',
    check: (scene) => expectNoCheckpoint(scene, 'sealCheckpoint'),
  },
  checkpoints: {
    does: 'is a line in the log and a count: the boot folds everything',
    check: (scene) => expectFullBoot(scene, 'checkpoints'),
  },
  checkpointPart: {
    does: 'is a line in the log and a count: the boot folds everything',
    check: (scene) => expectFullBoot(scene, 'checkpointPart'),
  },
  close: {
    does: 'fails the stop of the server, after every client got its answers and was told to go',
    async check({ journal, client, world }) {
      journal.fail('close', FAULT);
      client.send({ type: 'set_session_name', id: 'last', sessionId: 's', name: 'last' });
      await world.settle();
      const stopped = world.system.drain();
      stopped.catch(() => undefined);
      await world.advance(0);
      await expect(stopped).rejects.toThrow(FAULT.message);
      expect(client.response('last')).toMatchObject({ success: true });
      expect(client.closedWith?.code).toBe(1001);
    },
  },
};

/** An engine that fails ends its own command and nothing else: the next one of the session goes well. */
async function expectGoesOn({ engine, ask, client, world }: FaultScene): Promise<void> {
  engine.mend();
  client.send({ type: 'prompt', id: 'next', sessionId: 's', message: 'again' });
  await world.advance(2 * WORD_MS);
  expect(client.response('next')).toMatchObject({ success: true });
  expect(await ask({ type: 'health_check' })).toMatchObject({ data: { healthy: true, issues: [] } });
}

async function expectTurnFails(scene: FaultScene, method: EngineMethod): Promise<void> {
  const { engine, client, metrics, logged, world } = scene;
  engine.fail(method, FAULT);
  client.send({ type: 'prompt', id: 'prompt', sessionId: 's', message: 'go' });
  await world.advance(2 * WORD_MS);
  expect(client.response('prompt')).toMatchObject({
    success: false,
    errorCode: 'ENGINE_FAILED',
    error: expect.stringContaining(FAULT.message) as unknown,
  });
  expect((await metrics()).commands.failed['ENGINE_FAILED']).toBe(1);
  expect(logged()).toContainEqual(expect.objectContaining({ level: 'warn', message: 'turn failed' }));
  await expectGoesOn(scene);
}

/** What was recorded for a turn that can't take it is not lost: it waits for the next one. */
async function expectMessageWaits(scene: FaultScene, method: EngineMethod, type: string): Promise<void> {
  const { engine, ask, client, logged, world } = scene;
  engine.fail(method, FAULT);
  client.send({ type: 'prompt', id: 'prompt', sessionId: 's', message: 'two words' });
  await world.settle();
  expect(await ask({ type, sessionId: 's', message: 'waits' })).toMatchObject({ success: true });
  await world.advance(5 * WORD_MS);
  expect(client.response('prompt')).toMatchObject({ success: true });
  expect(logged()).toContainEqual(expect.objectContaining({ level: 'error', message: 'engine threw' }));
  const { data } = await ask({ type: 'get_state', sessionId: 's' });
  expect((data as { queued: { steers: number; followUps: number } }).queued).toEqual(
    type === 'steer' ? { steers: 1, followUps: 0 } : { steers: 0, followUps: 1 },
  );
}

const engineRows: Record<EngineMethod, Row> = {
  checkInput: {
    does: 'is ENGINE_FAILED for who makes a session',
    async check(scene) {
      const { engine, ask, metrics, logged } = scene;
      engine.fail('checkInput', FAULT);
      expect(await ask({ type: 'create_session', sessionId: 'x' })).toMatchObject({ errorCode: 'ENGINE_FAILED' });
      expect((await metrics()).commands.failed['ENGINE_FAILED']).toBe(1);
      expect(logged()).toContainEqual(expect.objectContaining({ level: 'error', message: 'engine threw' }));
      await expectGoesOn(scene);
    },
  },
  prepare: {
    does: 'is ENGINE_UNAVAILABLE, with what is missing, for who makes a session',
    async check(scene) {
      const { engine, ask, metrics } = scene;
      engine.fail('prepare', FAULT);
      expect(await ask({ type: 'create_session', sessionId: 'x' })).toMatchObject({
        errorCode: 'ENGINE_UNAVAILABLE',
        error: FAULT.message,
      });
      expect((await metrics()).commands.failed['ENGINE_UNAVAILABLE']).toBe(1);
      await expectGoesOn(scene);
    },
  },
  start: { does: 'is ENGINE_FAILED for the prompt', check: (scene) => expectTurnFails(scene, 'start') },
  finished: { does: 'is ENGINE_FAILED for the prompt', check: (scene) => expectTurnFails(scene, 'finished') },
  steer: {
    does: 'leaves the message for the next turn, and is in the log',
    exempt: 'The steer was recorded before the engine got it, so it did what it is for.',
    check: (scene) => expectMessageWaits(scene, 'steer', 'steer'),
  },
  followUp: {
    does: 'leaves the message for the next turn, and is in the log',
    exempt: 'The follow-up was recorded before the engine got it, so it did what it is for.',
    check: (scene) => expectMessageWaits(scene, 'followUp', 'follow_up'),
  },
  forget: {
    does: 'is in the log, and the session is gone all the same',
    exempt: 'The session ended with its entry; what the engine still keeps is of no use to anybody.',
    async check(scene) {
      const { engine, ask, logged } = scene;
      await ask({ type: 'create_session', sessionId: 'gone' });
      engine.fail('forget', FAULT);
      expect(await ask({ type: 'delete_session', sessionId: 'gone' })).toMatchObject({ success: true });
      expect(await ask({ type: 'get_state', sessionId: 'gone' })).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
      expect(logged()).toContainEqual(expect.objectContaining({ level: 'error', message: 'engine threw' }));
      await expectGoesOn(scene);
    },
  },
  close: {
    does: 'fails the stop of the server, which has closed its journal all the same',
    async check({ engine, journal, client, world }) {
      engine.fail('close', FAULT);
      const stopped = world.system.drain();
      stopped.catch(() => undefined);
      await world.advance(0);
      await expect(stopped).rejects.toThrow(FAULT.message);
      expect(client.closedWith?.code).toBe(1001);
      await expect(journal.scan({ after: 0, limit: 1 })).rejects.toThrow('not open');
    },
  },
};

const table = (rows: Readonly<Record<string, Row>>): [string, string, Row][] =>
  Object.entries(rows).map(([method, row]) => [method, row.does, row]);

describe('R4: a failure of the journal', () => {
  it('R4: at the start is the refusal of the start', async () => {
    const { world, journal } = createPlace();
    journal.fail('open', FAULT);
    await expect(world.start()).rejects.toThrow(FAULT.message);
    const second = createPlace();
    second.journal.fail('scan', FAULT);
    await expect(second.world.start()).rejects.toThrow(FAULT.message);
  });

  it.each(table(journalRows))('R4: in %s %s', async (_method, _does, { check }) => {
    const scene = await createFaultScene();
    await check(scene);
    expect(scene.world.fatal).toEqual([]);
  });
});

describe('R4: a failure of an engine', () => {
  it.each(table(engineRows))('R4: in %s %s', async (_method, _does, { check }) => {
    const scene = await createFaultScene();
    await check(scene);
    expect(scene.world.fatal).toEqual([]);
  });
});

describe('R4: the tables', () => {
  it('R4: have a row for every method that a journal and an engine have', async () => {
    const methodsOf = (port: object): string[] => {
      const prototype: unknown = Object.getPrototypeOf(port);
      const holder = prototype === Object.prototype ? port : (prototype as object);
      return Object.entries(Object.getOwnPropertyDescriptors(holder))
        .filter(([name, { value }]) => typeof value === 'function' && name !== 'constructor' && !name.startsWith('#'))
        .map(([name]) => name);
    };
    expect(Object.keys(journalRows).sort()).toEqual(methodsOf(createMemoryJournal()).sort());
    const turn = createEchoEngine().start(
      { signal: new AbortController().signal, clock: createWorld().clock, input: { message: '' } } as never,
      () => undefined,
    );
    const turnMethods = ['steer', 'followUp', 'finished'].filter((name) => name in turn);
    expect(Object.keys(engineRows).sort()).toEqual([...methodsOf(createEchoEngine()), ...turnMethods].sort());
  });
});
