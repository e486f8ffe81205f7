/**
 * Any schedule of cuts, lags, restarts, rebuilds, rests, ends and blanked entries gives each viewer every durable event exactly
 * once and in order, or says which ones it does not give. Whether that is so is judged by what the journal held, read by other
 * code.
 */
import fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import { Deduplication } from '../../actors/deduplication.ts';
import type { Journal } from '../../actors/ports.ts';
import { Session } from '../../actors/session/session.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import type { ManualTurn } from '../support/manual-engine.ts';
import { copyStore, derivedOf, entriesOf } from '../support/store.ts';
import { EventLedger, Viewer } from '../support/viewer.ts';
import { createWorld } from '../support/world.ts';
import type { Client, World } from '../support/world.ts';

const SESSIONS = ['a', 'b'];
const VIEWERS = ['a', 'a', 'a', 'b'];
/** Sessions that nobody uses so long leave memory. */
const IDLE_MS = 60_000;
/** A session that is made for a while lives so long. */
const WHILE_MS = 150_000;
/** So small that a burst is a lag. */
const LIMITS = {
  outgoingBytesMax: 8_000,
  outgoingBytesCloseMax: 60_000,
  passivationIdleMs: IDLE_MS,
  snapshotEvery: 16,
  checkpointEvery: 64,
};
/** A session's events are read in pages of at most so many entries; others read more at once. */
const PAGE_ENTRIES = 128;

const full = (): Error => Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });

const session = fc.nat(SESSIONS.length - 1);
const viewer = fc.nat(VIEWERS.length - 1);

const step = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ do: fc.constant('name' as const), session, count: fc.integer({ min: 1, max: 5 }) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('name' as const), session, count: fc.integer({ min: 50, max: 150 }) }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('prompt' as const), session }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('speak' as const), turn: fc.nat(2) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('finish' as const), turn: fc.nat(2) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('begin anew' as const), session }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('begin anew, for a while' as const), session }) },
  { weight: 2, arbitrary: fc.constant({ do: 'all rest' as const }) },
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('attach' as const),
      viewer,
      after: fc.constantFrom(
        'cursor' as const,
        'cursor' as const,
        'cursor' as const,
        'start' as const,
        'live' as const,
      ),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('detach' as const), viewer }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('cut' as const), viewer }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('stall' as const), viewer }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('read' as const), viewer }) },
  { weight: 2, arbitrary: fc.constant({ do: 'hold pages' as const }) },
  { weight: 3, arbitrary: fc.constant({ do: 'let a page go' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'let pages go' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'a page fails' as const }) },
  { weight: 1, arbitrary: fc.constant({ do: 'hold commits' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'commit' as const }) },
  { weight: 6, arbitrary: fc.constant({ do: 'settle' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'time passes' as const }) },
  {
    weight: 2,
    arbitrary: fc.constant({ do: 'compact' as const }),
  },
  {
    weight: 1,
    arbitrary: fc.record({ do: fc.constant('blank' as const), session, share: fc.integer({ min: 1, max: 10 }) }),
  },
  {
    weight: 3,
    arbitrary: fc.constantFrom(
      { do: 'a batch fails' as const },
      { do: 'the disk is full' as const },
      { do: 'there is room again' as const },
      { do: 'the thread dies' as const },
      { do: 'the thread dies, half stored' as const },
      { do: 'a defect in the directory' as const },
      { do: 'a defect in a session, before it records' as const },
      { do: 'a defect in a session, after it recorded' as const },
      { do: 'restart' as const },
      { do: 'kill' as const },
    ),
  },
);

type Step = typeof step extends fc.Arbitrary<infer S> ? S : never;

/** A journal whose pages a test lets go one by one. */
function createPagedJournal(journal: Journal) {
  let holds = false;
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const paged: Journal = {
    ...derivedOf(journal),
    durability: journal.durability,
    location: journal.location,
    open: () => journal.open(),
    append: (entries, done) => journal.append(entries, done),
    scan: async (range) => {
      const found = await journal.scan(range);
      // Read already, and on the way: what happens now is not in it.
      if (holds && range.lane !== undefined && range.limit <= PAGE_ENTRIES) {
        await new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
      }
      return found;
    },
    head: (lane) => journal.head(lane),
    read: (offset) => journal.read(offset),
    blank: (range) => journal.blank(range),
    verify: (last) => journal.verify(last),
    backup: (path) => journal.backup(path),
    close: () => journal.close(),
  };
  return {
    journal: paged,
    hold: () => void (holds = true),
    letOne: () => waiting.shift()?.resolve(),
    failOne: () => waiting.shift()?.reject(new Error('the disk is gone')),
    pass: () => {
      holds = false;
      for (const { resolve } of waiting.splice(0)) resolve();
    },
  };
}

function throwOnce(prototype: object, method: string): void {
  vi.spyOn(prototype as Record<string, () => unknown>, method).mockImplementationOnce(() => {
    throw new Error('a defect');
  });
}

/** Servers on one journal, one after the other, and those who watch. */
class Watched {
  readonly viewers = VIEWERS.map((id) => new Viewer(id));
  readonly ledger = new EventLedger();
  dropped = 0;
  world!: World;
  #store = createMemoryStore();
  #pages!: ReturnType<typeof createPagedJournal>;
  #engine!: ManualEngine;
  #driver!: Client;
  #ended = new Set<ManualTurn>();
  #sent = 0;
  #boots = 0;

  async boot(): Promise<void> {
    this.#boots += 1;
    this.#engine = new ManualEngine();
    this.#pages = createPagedJournal(createMemoryJournal({ store: this.#store }));
    this.world = createWorld({
      engines: [this.#engine],
      journal: { ...this.#pages.journal, drop: (lane, before) => this.#drop(lane, before) },
      store: this.#store,
      limits: LIMITS,
    });
    await this.world.start();
    this.#driver = this.world.connect();
    if (this.#boots === 1) this.#createSessions();
    await this.world.settle();
  }

  #createSessions(): void {
    for (const sessionId of SESSIONS) this.#send('create_session', { sessionId });
  }

  #send(type: string, fields: object): void {
    this.#sent += 1;
    this.#driver.send({ type, id: `c${this.#sent}`, ...fields });
  }

  get #running(): ManualTurn[] {
    return this.#engine.turns.filter((turn) => !this.#ended.has(turn));
  }

  async play(steps: readonly Step[]): Promise<void> {
    for (const step of steps) await this.#play(step);
  }

  async #play(step: Step): Promise<void> {
    const { world, viewers } = this;
    const { journal } = world;
    switch (step.do) {
      case 'name':
        for (let count = 0; count < step.count; count += 1) {
          this.#send('set_session_name', { sessionId: SESSIONS[step.session], name: `name ${this.#sent}` });
        }
        return;
      case 'prompt':
        return this.#send('prompt', { sessionId: SESSIONS[step.session], message: `message ${this.#sent}` });
      case 'speak': {
        const turn = this.#running[step.turn];
        turn?.speak('a', 'b');
        turn?.endMessage(`said ${this.#sent}`);
        turn?.startMessage('c');
        return;
      }
      case 'finish': {
        const turn = this.#running[step.turn];
        if (turn !== undefined) this.#finish(turn);
        return;
      }
      case 'begin anew':
        this.#send('delete_session', { sessionId: SESSIONS[step.session] });
        return this.#send('create_session', { sessionId: SESSIONS[step.session] });
      case 'begin anew, for a while':
        this.#send('delete_session', { sessionId: SESSIONS[step.session] });
        // It expires in the middle of what follows, be it in memory then or not.
        return this.#send('create_session', { sessionId: SESSIONS[step.session], ttl: WHILE_MS });
      case 'all rest':
        journal.pass();
        return world.advance(IDLE_MS * 1.5);
      case 'attach':
        return viewers[step.viewer]!.attach(world, step.after);
      case 'detach':
        return viewers[step.viewer]!.detach();
      case 'cut':
        return viewers[step.viewer]!.cut();
      case 'stall':
        return viewers[step.viewer]!.stall();
      case 'read':
        return viewers[step.viewer]!.read();
      case 'hold pages':
        return this.#pages.hold();
      case 'let a page go':
        this.#pages.letOne();
        return world.settle();
      case 'let pages go':
        return this.#pages.pass();
      case 'a page fails':
        return this.#pages.failOne();
      case 'hold commits':
        return journal.hold();
      case 'commit':
        return journal.release(1);
      case 'settle':
        return world.settle();
      case 'time passes':
        journal.pass();
        return world.advance(7_000);
      case 'compact':
        return this.#send('compact_journal', {});
      case 'blank':
        return this.#blank(step.session, step.share);
      case 'a batch fails':
        return journal.failNext(full());
      case 'the disk is full':
        return journal.keepFailing(full());
      case 'there is room again':
        return journal.mend();
      case 'the thread dies':
        return journal.die(new Error('the thread ended'));
      case 'the thread dies, half stored':
        return journal.die(new Error('the thread ended'), 1);
      case 'a defect in the directory':
        return throwOnce(Deduplication.prototype, 'find');
      case 'a defect in a session, before it records':
        return throwOnce(Session.prototype, 'record');
      case 'a defect in a session, after it recorded': {
        const record = Session.prototype.record;
        vi.spyOn(Session.prototype, 'record').mockImplementationOnce(function (this: Session, draft, at) {
          record.call(this, draft, at);
          throw new Error('a defect');
        });
        return;
      }
      case 'restart':
        return this.#restart();
      case 'kill':
        return this.#kill();
      default:
        step satisfies never;
    }
  }

  #finish(turn: ManualTurn): void {
    this.#ended.add(turn);
    turn.finish();
  }

  async #learn(): Promise<void> {
    this.ledger.learn(await entriesOf(this.#store));
  }

  async #drop(lane: string, before: number): Promise<number> {
    await this.#learn();
    const dropped = await this.#pages.journal.drop(lane, before);
    this.ledger.learnDropped(await entriesOf(this.#store));
    this.dropped += dropped;
    return dropped;
  }

  async #blank(index: number, share: number): Promise<void> {
    await this.#learn();
    const through = Math.floor((this.#store.rows.length * share) / 10);
    const range = { through, lane: `session:${SESSIONS[index]!}`, keepOpenings: true };
    // What retention does; of a journal that is not open there is nothing to be taken.
    await this.world.journal.blank(range).catch(() => undefined);
    this.ledger.learnForgotten(await entriesOf(this.#store));
  }

  async #restart(): Promise<void> {
    const { world } = this;
    vi.restoreAllMocks();
    await this.#heal();
    const stopped = world.stop();
    await world.advance(40_000);
    await stopped;
    for (const viewer of this.viewers) viewer.cut();
    await this.boot();
  }

  async #kill(): Promise<void> {
    this.#store = copyStore(this.#store);
    vi.restoreAllMocks();
    for (const viewer of this.viewers) viewer.cut();
    await this.boot();
  }

  /** Whatever was planted is over, and the server is up. */
  async #heal(): Promise<void> {
    this.#pages.pass();
    this.world.journal.mend();
    this.world.journal.pass();
    // A journal that died is missed by whoever writes.
    this.#send('set_session_name', { sessionId: 'a', name: 'healed' });
    await this.world.advance(20_000);
  }

  /** All read, and whoever fell behind comes back. */
  async finish(): Promise<void> {
    vi.restoreAllMocks();
    await this.#heal();
    for (let round = 0; this.#running.length > 0 && round < 50; round += 1) {
      for (const turn of this.#running) this.#finish(turn);
      await this.world.settle();
    }
    // One that was to begin anew may have ended alone.
    this.#createSessions();
    await this.world.advance(20_000);
    for (const viewer of this.viewers) viewer.read();
    for (let round = 0; round < 10; round += 1) await this.world.settle();
    await this.#learn();
  }

  async comeBack(): Promise<void> {
    // Some have ended since, and some are at rest: whoever looks at one finds it in memory.
    this.#createSessions();
    for (const sessionId of SESSIONS) this.#send('get_state', { sessionId });
    await this.world.settle();
    for (const viewer of this.viewers) if (!this.#watches(viewer)) viewer.attach(this.world, 'cursor');
    for (let round = 0; round < 10; round += 1) await this.world.settle();
    await this.#learn();
  }

  /** Those who are not shown what happens now, and what happened to them. */
  get away(): string[][] {
    return this.viewers.filter((viewer) => !this.#watches(viewer)).map(({ story }) => story.slice(-20));
  }

  #watches({ mode, cursor, sessionId }: Viewer): boolean {
    return mode === 'live' && cursor?.epoch === this.world.system.session(sessionId)?.state?.epoch;
  }

  /** What does not hold, one sentence each. */
  problems(): string[] {
    const { ledger } = this;
    return this.viewers.flatMap(({ problems, shown, gaps, mode, cursor, story }) => {
      const found = [...problems];
      for (const { epoch, seq, event } of shown) {
        const stored = ledger.event(epoch, seq);
        if (stored !== event) found.push(`event ${seq} of ${epoch} was shown as ${event}, and is ${stored}`);
      }
      for (const { epoch, from, to } of gaps) {
        for (let seq = from; seq <= to; seq += 1) {
          if (!ledger.isForgotten(epoch, seq)) found.push(`event ${seq} of ${epoch} is said to be gone, and is there`);
        }
      }
      if (mode === 'catching up') found.push(`never synced: ${story.slice(-20).join(', ')}`);
      if (mode === 'live' && cursor !== undefined && cursor.seq !== ledger.head(cursor.epoch)) {
        found.push(`stands at ${cursor.seq} of ${ledger.head(cursor.epoch)}: ${story.slice(-20).join(', ')}`);
      }
      return found;
    });
  }
}

afterEach(() => void vi.restoreAllMocks());

const OPENING: readonly Step[] = [
  { do: 'name', session: 0, count: 150 },
  { do: 'settle' },
  { do: 'attach', viewer: 0, after: 'start' },
  { do: 'settle' },
];

it(
  'any schedule gives each viewer every durable event once and in order, or names the gap',
  { timeout: 300_000 },
  async () => {
    let dropped = 0;
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 60, size: 'max' }), async (steps) => {
        vi.restoreAllMocks();
        const watched = new Watched();
        await watched.boot();
        await watched.play([...OPENING, ...steps]);
        await watched.finish();
        expect(watched.problems()).toEqual([]);
        await watched.comeBack();
        expect(watched.problems()).toEqual([]);
        expect(watched.world.fatal).toEqual([]);
        expect(watched.away).toEqual([]);
        dropped += watched.dropped;
      }),
      { numRuns: 150 },
    );
    expect(dropped).toBeGreaterThan(0);
  },
);
