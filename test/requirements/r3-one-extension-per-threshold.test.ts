/** R3, F1, C2, C8: activity near the end extends, once per threshold period, up to the cap, and never shortens a deadline. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { activityOf } from '../../actors/session/event.ts';
import type { LeaseExtended } from '../../actors/entry.ts';
import { createLife, entriesIn, eventsOf, HOUR_MS, MINUTE_MS, policy } from './lifetime.ts';
import type { Life } from './lifetime.ts';

const extensions = async ({ world }: Life) =>
  (await entriesIn(world, 'lease.extended')).map((entry) => entry as LeaseExtended);

describe('R3: activity', () => {
  it('far from the end extends nothing', async () => {
    const life = await createLife();
    for (let hour = 0; hour < 9; hour += 1) {
      await life.at(hour * HOUR_MS);
      await life.touch();
    }
    expect(await life.lease()).toEqual({ deadlineMs: policy.baseMs, extensions: 0 });
    expect(await extensions(life)).toEqual([]);
  });

  it.each([1, 2, 50])('inside one threshold period, %i times, extends once', async (times) => {
    const life = await createLife();
    await life.at(policy.baseMs - policy.thresholdMs);
    for (let count = 0; count < times; count += 1) {
      await life.touch();
      await life.world.advance(MINUTE_MS);
    }
    expect(await life.lease()).toEqual({ deadlineMs: policy.baseMs + policy.extensionMs, extensions: 1 });
    expect(await extensions(life)).toHaveLength(1);
  });

  it('after the end extends nothing', async () => {
    const life = await createLife();
    await life.at(policy.baseMs);
    expect(await life.touch()).toMatchObject({ success: false, errorCode: 'SESSION_EXPIRED' });
    expect(await extensions(life)).toEqual([]);
  });

  it('a millisecond before the end still extends', async () => {
    const life = await createLife();
    await life.at(policy.baseMs - 1);
    expect(await life.touch()).toMatchObject({ success: true });
    expect(await life.lease()).toEqual({ deadlineMs: policy.baseMs + policy.extensionMs, extensions: 1 });
  });

  it('is journalled with what it follows from in one batch: both, or neither', async () => {
    const life = await createLife();
    await life.at(policy.baseMs - MINUTE_MS);
    life.world.journal.failNext(new Error('disk full'));
    await life.touch();
    await life.world.advance(10_000);
    expect(await extensions(life)).toEqual([]);
    await life.at(policy.baseMs - 1);
    expect(await life.lease()).toEqual({ deadlineMs: policy.baseMs, extensions: 0 });
    await life.touch();
    const all = await extensions(life);
    expect(all).toHaveLength(1);
    const [cause] = (await entriesIn(life.world, 'command.settled')).filter(
      ({ offset }) => offset === all[0]!.offset - 1,
    );
    expect(cause).toMatchObject({ commandType: 'set_session_name', at: all[0]!.at });
  });
});

describe('C2, C10: the cap', () => {
  it('is announced once, as final, behind the announcements that activity could still answer', async () => {
    const life = await createLife();
    const { client } = life;
    let end = policy.baseMs;
    for (let extension = 0; extension < policy.extensionsMax; extension += 1) {
      await life.at(end - policy.thresholdMs);
      await life.touch();
      end += policy.extensionMs;
    }
    await life.at(end - policy.thresholdMs);
    for (let count = 0; count < 20; count += 1) await life.touch();
    await life.at(end - 1);
    const told = eventsOf(client, 'session_expiring');
    expect(told).toMatchObject([{ final: false }, { final: false }, { final: true }]);
    expect(told.at(-1)).toEqual({
      type: 'session_expiring',
      deadline: new Date(life.createdAt + end).toISOString(),
      remainingMs: policy.thresholdMs,
      extensions: policy.extensionsMax,
      extensionsMax: policy.extensionsMax,
      final: true,
    });
    expect(await life.lease()).toEqual({ deadlineMs: end, extensions: policy.extensionsMax });
    await life.at(end);
    expect(await life.ask('get_state')).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
  });

  it('is four extensions of six hours to a day, if nobody configures it: 48 hours at most', async () => {
    const life = await createLife({
      limits: { lease: { baseMs: 24 * HOUR_MS, extensionMs: 6 * HOUR_MS, extensionsMax: 4, thresholdMs: HOUR_MS } },
    });
    for (let minute = 0; minute < 48 * 60; minute += 10) {
      await life.at(minute * MINUTE_MS);
      expect(await life.touch()).toMatchObject({ success: true });
    }
    expect(await life.lease()).toEqual({ deadlineMs: 48 * HOUR_MS, extensions: 4 });
    await life.at(48 * HOUR_MS);
    expect(await life.touch()).toMatchObject({ errorCode: 'SESSION_EXPIRED' });
  });
});

it('C8: a hundred activities a minute, for a whole life, write one extension per threshold period at most', async () => {
  const life = await createLife();
  await life.at(policy.baseMs - 30 * MINUTE_MS);
  for (let minute = 0; minute < 20; minute += 1) {
    for (let count = 0; count < 100; count += 1) {
      life.client.send({ type: 'set_session_name', sessionId: 's', name: `n${count}` });
    }
    await life.world.advance(MINUTE_MS);
  }
  expect(await extensions(life)).toHaveLength(1);
});

it('F1: whatever the trace of activity, extensions keep the cap and their distance, and no deadline moves back', async () => {
  const trace = fc.array(fc.integer({ min: 1, max: 90 * MINUTE_MS }), { maxLength: 60, size: 'max' });
  const policies = fc.record({
    baseMs: fc.integer({ min: 1, max: 6 * HOUR_MS }),
    extensionMs: fc.integer({ min: 1, max: 3 * HOUR_MS }),
    extensionsMax: fc.nat(5),
    thresholdMs: fc.integer({ min: 1, max: 3 * HOUR_MS }),
  });
  await fc.assert(
    fc.asyncProperty(policies, trace, async (lease, waits) => {
      const life = await createLife({ limits: { lease } });
      for (const ms of waits) {
        await life.world.advance(ms);
        life.client.send({ type: 'set_session_name', sessionId: 's', name: 'n' });
      }
      await life.world.settle();
      const all = await extensions(life);
      expect(all.length).toBeLessThanOrEqual(lease.extensionsMax);
      let deadlineAt = life.createdAt + lease.baseMs;
      let before = -Infinity;
      for (const [index, entry] of all.entries()) {
        expect(entry.extensions).toBe(index + 1);
        expect(entry.at).toBeLessThan(deadlineAt);
        expect(deadlineAt - entry.at).toBeLessThanOrEqual(lease.thresholdMs);
        expect(entry.at - before).toBeGreaterThanOrEqual(lease.thresholdMs);
        expect(entry.deadlineAt).toBe(deadlineAt + lease.extensionMs);
        deadlineAt = entry.deadlineAt;
        before = entry.at;
      }
      const ended = await entriesIn(life.world, 'session.expired');
      expect(ended.length).toBe(life.world.clock.now() >= deadlineAt ? 1 : 0);
    }),
    { numRuns: 60 },
  );
});

it('X12: a countdown learns of an extension when it happens, and finds it in get_state', async () => {
  const life = await createLife();
  await life.at(policy.baseMs - MINUTE_MS);
  await life.touch();
  const deadline = new Date(life.createdAt + policy.baseMs + policy.extensionMs).toISOString();
  expect(eventsOf(life.client, 'session_extended')).toEqual([
    { type: 'session_extended', deadline, extensions: 1, extensionsMax: 2 },
  ]);
  const { data } = await life.ask('get_state');
  expect(data?.['lease']).toEqual({ deadline, extensions: 1, extensionsMax: 2, thresholdMs: policy.thresholdMs });
  const [hint] = life.client.of('event').filter(({ event }) => event.type === 'session_extended');
  const last = life.client.of('event').findLast(({ ephemeral }) => ephemeral !== true);
  expect(hint).toMatchObject({ ephemeral: true, seq: last?.['seq'] });
  expect(activityOf('session_extended')).toBe('system');
});
