/** Backups by schedule and by command, on a clock that the test moves: what the schedule counts from, and what operators see. */
import { describe, expect, it } from 'vitest';
import type { Json } from '../../actors/message.ts';
import { BackupFailed } from '../../actors/ports.ts';
import type { Journal, JournalBackup } from '../../actors/ports.ts';
import { noSchedule } from '../../actors/upkeep.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

const HOUR = 3_600_000;
const made: JournalBackup = { path: '/b/x.db', bytes: 9, entries: 3, lastOffset: 3, sha256: 'ab', tookMs: 5 };

interface Copier {
  readonly at: number[];
  /** How the next ones end; the default is at once and well. */
  next: () => Promise<JournalBackup>;
}

function scene(
  options: {
    readonly intervalMs?: number | null;
    readonly store?: ReturnType<typeof createMemoryStore>;
    readonly clock?: World['clock'];
  } = {},
) {
  const store = options.store ?? createMemoryStore();
  const inside = createMemoryJournal({ store });
  const copier: Copier = { at: [], next: async () => made };
  const journal: Journal = new Proxy(inside, {
    get(target, name) {
      if (name === 'backup')
        return (at: number) => {
          copier.at.push(at);
          return copier.next();
        };
      const value = Reflect.get(target, name, target) as unknown;
      return typeof value === 'function' ? (value as (...args: unknown[]) => unknown).bind(target) : value;
    },
  });
  const { intervalMs = HOUR, clock = createSimulatedClock() } = options;
  const world = createWorld({
    journal,
    store,
    clock,
    upkeep: { ...noSchedule, backupIntervalMs: intervalMs },
  });
  const client = (): ReturnType<World['connect']> => world.connect();
  const ask = async (type: string): Promise<Json & object> => {
    const asking = client();
    asking.send({ type, id: `${type}-${(asked += 1)}` });
    await world.settle();
    return asking.responses().at(-1)!;
  };
  return { world, store, copier, ask };
}
let asked = 0;

const runs = async ({ ask }: ReturnType<typeof scene>) => ((await ask('get_metrics')) as any).data.housekeeping; // eslint-disable-line @typescript-eslint/no-explicit-any -- a frame
const health = async ({ ask }: ReturnType<typeof scene>) => ((await ask('health_check')) as any).data; // eslint-disable-line @typescript-eslint/no-explicit-any -- a frame

describe('Housekeeping', () => {
  it('makes the first backup at once and the next ones an interval after the last success', async () => {
    const here = scene();
    await here.world.start();
    await here.world.advance(1);
    expect(here.copier.at).toHaveLength(1);
    await here.world.advance(HOUR - 1_000);
    expect(here.copier.at).toHaveLength(1);
    await here.world.advance(2_000);
    expect(here.copier.at).toHaveLength(2);
    expect(await runs(here)).toMatchObject([
      { task: 'backup', trigger: 'schedule', ok: true, result: { sha256: 'ab' } },
      { task: 'backup', trigger: 'schedule', ok: true },
    ]);
    expect((await entriesOf(here.store)).filter(({ kind }) => kind === 'housekeeping.finished')).toHaveLength(2);
  });

  it('counts from the last success over a restart, and not from the boot', async () => {
    const clock = createSimulatedClock();
    const first = scene({ clock });
    await first.world.start();
    await first.world.advance(HOUR / 2);
    await first.world.stop();
    const second = scene({ clock, store: copyStore(first.store) });
    await second.world.start();
    await second.world.advance(HOUR / 2 - 2_000);
    expect(second.copier.at).toEqual([]);
    await second.world.advance(4_000);
    expect(second.copier.at).toHaveLength(1);
    expect(await runs(second)).toHaveLength(2);
  });

  it('makes none by schedule when none is configured, and one by command', async () => {
    const here = scene({ intervalMs: null });
    await here.world.start();
    await here.world.advance(100 * HOUR);
    expect(here.copier.at).toEqual([]);
    expect(await here.ask('backup')).toMatchObject({ success: true, data: made });
    expect(await runs(here)).toMatchObject([{ trigger: 'command', ok: true }]);
    expect(await health(here)).toMatchObject({ healthy: true });
  });

  it('takes a command that comes before it knows what was done earlier', async () => {
    const here = scene({ intervalMs: null });
    const started = here.world.start();
    const client = here.world.connect();
    client.send({ type: 'backup', id: 'early' });
    await started;
    await here.world.settle();
    expect(client.response('early')).toMatchObject({ success: true, data: made });
  });

  it('gives those who ask at once the same backup, and others their answers meanwhile', async () => {
    const here = scene({ intervalMs: null });
    await here.world.start();
    let finish = (_backup: JournalBackup): void => undefined;
    here.copier.next = () => new Promise((resolve) => (finish = resolve));
    const [one, other] = [here.world.connect(), here.world.connect()];
    one.send({ type: 'backup', id: 'b1' });
    await here.world.settle();
    other.send({ type: 'backup', id: 'b2' });
    other.send({ type: 'create_session', sessionId: 's', id: 'c' });
    other.send({ type: 'health_check', id: 'h' });
    await here.world.settle();
    expect(other.response('c')).toMatchObject({ success: true });
    expect(other.response('h')).toMatchObject({ success: true });
    expect([one.response('b1'), other.response('b2')]).toEqual([undefined, undefined]);
    finish(made);
    await here.world.settle();
    for (const answer of [one.response('b1'), other.response('b2')]) expect(answer).toMatchObject({ success: true });
    expect(here.copier.at).toHaveLength(1);
  });

  it('answers again with the stored outcome, and makes no other backup', async () => {
    const here = scene({ intervalMs: null });
    await here.world.start();
    const client = here.world.connect();
    for (let round = 0; round < 2; round += 1) {
      client.send({ type: 'backup', id: 'same' });
      await here.world.settle();
    }
    expect(client.responses()).toMatchObject([{ success: true }, { success: true, replayed: true, data: made }]);
    expect(here.copier.at).toHaveLength(1);
  });

  it('backs off after failures, says so in the health, and is well again after a success', async () => {
    const here = scene();
    here.copier.next = () => Promise.reject(new BackupFailed('/b does not fit on its disk'));
    await here.world.start();
    await here.world.advance(1);
    expect(await health(here)).toMatchObject({
      healthy: false,
      issues: ['The last backup failed: /b does not fit on its disk'],
    });
    await here.world.advance(59_000);
    expect(here.copier.at).toHaveLength(1);
    await here.world.advance(2_000);
    expect(here.copier.at).toHaveLength(2);
    await here.world.advance(118_000);
    expect(here.copier.at).toHaveLength(2);
    await here.world.advance(4_000);
    expect(here.copier.at).toHaveLength(3);
    // Who asks does not wait for the back-off.
    expect(await here.ask('backup')).toMatchObject({ success: false, errorCode: 'BACKUP_FAILED' });
    here.copier.next = async () => made;
    expect(await here.ask('backup')).toMatchObject({ success: true });
    expect(await health(here)).toMatchObject({ healthy: true, issues: [] });
    expect(((await runs(here)) as { ok: boolean }[]).map(({ ok }) => ok)).toEqual([false, false, false, false, true]);
  });

  it('calls a backup stale that is older than two intervals', async () => {
    const here = scene();
    await here.world.start();
    await here.world.advance(1);
    here.copier.next = () => new Promise(() => undefined);
    await here.world.advance(2 * HOUR - 1_000);
    expect(await health(here)).toMatchObject({ healthy: true });
    await here.world.advance(2_000);
    expect((await health(here)).issues).toEqual([expect.stringMatching(/^The newest backup is \d+ s old$/)]);
  });

  it('shows the last twenty runs', async () => {
    const here = scene({ intervalMs: 60_000 });
    await here.world.start();
    for (let round = 0; round < 25; round += 1) await here.world.advance(60_001);
    expect(here.copier.at.length).toBeGreaterThan(20);
    expect(await runs(here)).toHaveLength(20);
  });

  it('leaves no timer behind when the server stops', async () => {
    const here = scene();
    await here.world.start();
    await here.world.advance(1);
    await here.world.stop();
    await here.world.clock.advanceAsync(10 * HOUR);
    expect(here.copier.at).toHaveLength(1);
  });
});
