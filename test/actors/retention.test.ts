/**
 * Retention: what is too old or too much goes by itself, also at a start. Who asks for what went is told so, and what names,
 * orders and ends things is known as before.
 */
import { describe, expect, it } from 'vitest';
import { noSchedule } from '../../actors/upkeep.ts';
import type { MemoryStore } from '../../src/journal/memory.ts';
import { createScene } from '../support/scene.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { World } from '../support/world.ts';

const HOUR = 3_600_000;
const SECRET = 'xyzzy-plugh';

const upkeepOf = (retention: { maxAgeMs?: number; maxBytes?: number }, keptMs = 0) => ({
  upkeep: { ...noSchedule, keptMs, retention: { maxAgeMs: null, maxBytes: null, ...retention } },
});

interface Run {
  readonly task: string;
  readonly trigger: string;
  readonly ok: boolean;
  readonly error?: string;
  readonly result?: { lanes: number; entries: number; blanked: number; forgotten: number; bytes: number };
}

async function ask(world: World, frame: { type: string; id?: string; [field: string]: unknown }) {
  const client = world.connect();
  const id = frame.id ?? `asked ${Math.random()}`;
  client.send({ ...frame, id });
  for (let tries = 0; tries < 40 && client.response(id) === undefined; tries += 1) await world.settle();
  client.leave();
  return client.response(id)!;
}

const runsOf = async (world: World) =>
  ((await ask(world, { type: 'get_metrics', id: `m ${Math.random()}` }))['data'].housekeeping as Run[]).filter(
    ({ task }) => task === 'retention',
  );

/** Everything that is stored, as text. */
const stored = ({ rows, remains, snapshots }: MemoryStore): string =>
  JSON.stringify([rows, [...remains.values()], [...snapshots.values()]]);

async function verified(store: MemoryStore) {
  const world = createWorld({ store: copyStore(store) });
  await world.journal.open();
  return world.journal.verify(store.rows.length);
}

/** A session that is renamed now and again, and one that is over. */
async function told(options: ReturnType<typeof upkeepOf>) {
  const limits = { passivationIdleMs: 40 * HOUR, dependencyMs: 40 * HOUR, longMs: 40 * HOUR };
  const scene = await createScene({ ...options, limits });
  await scene.send(
    { type: 'create_session', id: 'gone', sessionId: 'gone', name: SECRET, labels: { [SECRET]: SECRET } },
    { type: 'set_session_name', id: 'said', sessionId: 'gone', name: SECRET, idempotencyKey: 'k' },
    { type: 'create_session', id: 'refused', sessionId: 'never', engine: 'nowhere', name: SECRET },
    { type: 'delete_session', id: 'end', sessionId: 'gone' },
    { type: 'set_session_name', id: 'one', sessionId: 's', name: 'one' },
    { type: 'set_session_name', id: 'two', sessionId: 's', name: 'two' },
  );
  return scene;
}

describe('journal.retention.maxAgeMs', () => {
  it('takes what is older, keeps what is younger and what sessions are, and is applied at each start', async () => {
    const { world, send } = await told(upkeepOf({ maxAgeMs: HOUR }));
    await world.advance(1);
    expect(await runsOf(world)).toMatchObject([{ ok: true, trigger: 'schedule', result: { entries: 0 } }]);
    await world.advance(HOUR / 2);
    await send({ type: 'set_session_name', id: 'three', sessionId: 's', name: 'three' });
    expect(stored(world.store)).toContain(SECRET);
    await world.advance(HOUR);
    expect(stored(world.store)).not.toContain(SECRET);
    const kept = (await entriesOf(world.store)).filter(({ kind }) => kind === 'command.settled');
    expect(kept).toMatchObject([{ commandId: 'refused', blanked: true }, { commandId: 'three' }]);
    expect(await verified(world.store)).toMatchObject({ ok: true, problems: [] });
    const runs = (await runsOf(world)).length;
    const next = createWorld({ store: copyStore(world.store), clock: world.clock, ...upkeepOf({ maxAgeMs: HOUR }) });
    await next.start();
    await next.advance(1);
    expect(await runsOf(next), 'the last one was a moment ago').toHaveLength(runs + 1);
    expect((await ask(next, { type: 'get_state', sessionId: 's' }))['data']).toMatchObject({ sessionName: 'three' });
    const expired = { errorCode: 'CURSOR_EXPIRED', details: { reason: 'retention', firstSeq: 3 } };
    expect(await ask(next, { type: 'get_session_events', sessionId: 's' })).toMatchObject(expired);
  });

  it('never takes what is younger than idempotency.ttlMs, and what a command needs that has no outcome', async () => {
    const { world, send, prompt } = await told(upkeepOf({ maxAgeMs: 1 }, HOUR));
    await prompt('p');
    // Waits for the prompt, at the server.
    await send({ type: 'create_session', id: 'waits', sessionId: 'new', dependsOn: ['p'], name: SECRET });
    expect(await ask(world, { type: 'apply_retention' })).toMatchObject({ data: { entries: 0, blanked: 0 } });
    await world.advance(HOUR - 1);
    expect(await ask(world, { type: 'apply_retention' })).toMatchObject({ data: { entries: 0, blanked: 0 } });
    await world.advance(2 * HOUR);
    const left = (await entriesOf(world.store)).filter(({ kind }) => kind === 'command.accepted');
    expect(left.map((entry) => 'commandId' in entry && [entry.commandId, entry.blanked])).toEqual([
      ['p', undefined],
      ['waits', undefined],
    ]);
    expect(stored(world.store).split(SECRET)).toHaveLength(2);
  });

  it('leaves of what went its name and its end: the same again is answered, redacted, by each process', async () => {
    const { world } = await told(upkeepOf({ maxAgeMs: HOUR }));
    await world.advance(2 * HOUR);
    const next = createWorld({ store: copyStore(world.store), clock: world.clock });
    await next.start();
    for (const server of [world, next]) {
      const again = { replayed: true, success: true, details: { redacted: true } };
      const said = { type: 'set_session_name', sessionId: 'gone', name: SECRET, idempotencyKey: 'k' };
      expect(await ask(server, { ...said, id: 'said' })).toMatchObject(again);
      const { idempotencyKey: _key, ...other } = said;
      expect(await ask(server, { ...other, id: 'said', name: 'another' })).toMatchObject({ errorCode: 'ID_CONFLICT' });
      expect(await ask(server, { type: 'delete_session', id: 'end', sessionId: 'gone' })).toMatchObject(again);
      expect(
        await ask(server, {
          type: 'create_session',
          id: 'refused',
          sessionId: 'never',
          engine: 'nowhere',
          name: SECRET,
        }),
      ).toMatchObject({
        replayed: true,
        errorCode: 'ENGINE_UNAVAILABLE',
        details: { redacted: true },
      });
      const depends = { type: 'set_session_name', id: `after ${server === next}`, sessionId: 's', name: 'after' };
      expect(await ask(server, { ...depends, dependsOn: ['one'] })).toMatchObject({ success: true });
      const failed = { ...depends, id: `behind ${server === next}`, dependsOn: ['refused'] };
      expect(await ask(server, failed)).toMatchObject({ errorCode: 'DEPENDENCY_FAILED' });
    }
  });
});

describe('journal.retention.maxBytes', () => {
  const filled = async (maxBytes: number, keptMs = 0) => {
    const scene = await createScene({ ...upkeepOf({ maxBytes }, keptMs), limits: { passivationIdleMs: 40 * HOUR } });
    for (let hour = 0; hour < 8; hour += 1) {
      await scene.send({ type: 'create_session', id: `c${hour}`, sessionId: `s${hour}` });
      for (let index = 0; index < 5; index += 1)
        await scene.send({
          type: 'set_session_name',
          id: `n${hour}.${index}`,
          sessionId: `s${hour}`,
          name: 'x'.repeat(200),
        });
      await scene.send({ type: 'delete_session', id: `d${hour}`, sessionId: `s${hour}` });
      await scene.world.advance(100_000);
    }
    return scene;
  };

  it('takes the oldest, and no more than it has to', async () => {
    const { world } = await filled(38_000);
    const { bytes } = await world.journal.size();
    expect(bytes).toBeGreaterThan(38_000);
    const run = await ask(world, { type: 'apply_retention' });
    expect(run).toMatchObject({ success: true });
    expect(run['data'].bytes).toBeLessThanOrEqual(38_000);
    expect(run['data'].entries).toBeGreaterThan(0);
    const left = (await entriesOf(world.store))
      .filter(({ kind }) => kind === 'command.settled')
      .map(({ lane }) => lane);
    expect(left).not.toContain('session:s0');
    expect(left).toContain('session:s7');
    expect(await verified(world.store)).toMatchObject({ ok: true, problems: [] });
    // What is known of commands goes last.
    expect(await ask(world, { type: 'delete_session', id: 'd0', sessionId: 's0' })).toMatchObject({ replayed: true });
  });

  it('forgets the oldest commands when nothing else is left to be taken', async () => {
    const { world } = await filled(9_000);
    const run = await ask(world, { type: 'apply_retention' });
    expect(run).toMatchObject({ success: true });
    expect(run['data'].forgotten).toBeGreaterThan(0);
    expect(run['data'].bytes).toBeLessThanOrEqual(9_000);
    expect(await verified(world.store)).toMatchObject({ ok: true, problems: [] });
  });

  it('is a reason of health when it can not be kept, with what is in the way, until it is', async () => {
    const { world } = await filled(9_000, 10 * HOUR);
    const refused = await ask(world, { type: 'apply_retention' });
    expect(refused).toMatchObject({ errorCode: 'COMPACTION_FAILED' });
    expect(refused['error']).toMatch(
      /takes \d+ bytes, and journal.retention.maxBytes is 9000: what is left is younger/,
    );
    const health = async () => (await ask(world, { type: 'health_check', id: `h ${Math.random()}` }))['data'];
    expect(await health()).toMatchObject({
      healthy: false,
      issues: [expect.stringContaining('last retention failed')],
    });
    await world.advance(11 * HOUR);
    expect(await health()).toMatchObject({ healthy: true, issues: [] });
  });
});

it('without journal.retention nothing goes, however old', async () => {
  const { world } = await told(upkeepOf({}));
  await world.advance(30 * HOUR);
  expect(await runsOf(world)).toEqual([]);
  expect(stored(world.store)).toContain(SECRET);
});
