/**
 * Supervisors that run: on a clock that the test moves they restart when their chart says so, stop when they are told to, and
 * hand up what restarting does not help. Then in a whole server, where a restart is a fold.
 */
import { describe, expect, it, vi } from 'vitest';
import type { AnyActorRef, AnyMachineSnapshot } from 'xstate';
import { Host } from '../../actors/host.ts';
import { supervisionTree } from '../../actors/supervision-tree.ts';
import type { ChildSpec } from '../../actors/supervision-tree.ts';
import { Supervisor } from '../../actors/supervisor.ts';
import { sessionCommand } from '../../src/commands/command.ts';
import { envelopes } from '../../src/protocol/envelope.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { createScene } from '../support/scene.ts';
import { createWorld } from '../support/world.ts';

const [, , , sessions] = supervisionTree.children;

/** What a supervisor did, each with the time since the start. */
function supervise(spec: ChildSpec) {
  const clock = createSimulatedClock();
  const host = new Host(clock);
  const startedAt = clock.now();
  const done: string[] = [];
  const note = (what: string, child: string): void => void done.push(`${clock.now() - startedAt} ${what} ${child}`);
  const supervisor = new Supervisor(host, clock, spec, {
    restartChild: (child) => note('child', child),
    restartFrom: (child) => note('from', child),
    escalate: (child) => note('escalate', child),
  });
  return { clock, host, supervisor, done };
}

describe('a supervisor whose children depend on each other', () => {
  it('restarts at once, and waits longer with each restart that fails', () => {
    const { clock, supervisor, done } = supervise(supervisionTree);
    supervisor.failed('directory');
    for (const wait of [0, 100, 200, 400]) {
      clock.advance(wait);
      supervisor.failed('directory');
    }
    expect(done).toEqual(['0 from directory', '100 from directory', '300 from directory', '700 from directory']);
  });

  it('restarts once for all that failed while it waited, from the earliest on', () => {
    const { clock, supervisor, done } = supervise(supervisionTree);
    supervisor.failed('sessions');
    supervisor.failed('transports');
    supervisor.unavailable('journal');
    supervisor.failed('directory');
    expect(done, 'not in the middle of what failed').toEqual([]);
    clock.advance(0);
    expect(done).toEqual(['0 from journal']);
    supervisor.started();
    supervisor.failed('sessions');
    clock.advance(1000);
    expect(done.slice(1)).toEqual(['100 from sessions']);
  });

  it('hands up the failure that is one too many, once, and does nothing about those after it', () => {
    const { clock, supervisor, done } = supervise(supervisionTree);
    const { restartsMax } = supervisionTree.supervises;
    for (let failures = 0; failures <= restartsMax + 3; failures += 1) {
      supervisor.failed('directory');
      clock.advance(5000);
    }
    expect(done.filter((each) => each.includes('from'))).toHaveLength(restartsMax);
    expect(done.filter((each) => each.includes('escalate'))).toHaveLength(1);
    expect(done.at(-1)).toMatch(/escalate directory$/);
    expect(clock.pendingTimers).toBe(0);
  });

  it('waits for an outage as long as it takes', () => {
    const { clock, supervisor, done } = supervise(supervisionTree);
    for (let tries = 0; tries < 1000; tries += 1) {
      supervisor.unavailable('journal');
      clock.advance(5000);
    }
    expect(done).toHaveLength(1000);
    expect(done.filter((each) => each.includes('escalate'))).toEqual([]);
  });

  it('forgets what failed when it is itself restarted', () => {
    const { clock, host, supervisor, done } = supervise(supervisionTree);
    const { restartsMax } = supervisionTree.supervises;
    for (let failures = 0; failures <= restartsMax; failures += 1) {
      supervisor.failed('directory');
      clock.advance(5000);
    }
    done.length = 0;
    supervisor.restart();
    supervisor.failed('directory');
    clock.advance(0);
    expect(done).toEqual([expect.stringMatching(/ from directory$/)]);
    expect(host.rootCount, 'no one is left of those before').toBe(1);
  });

  it('that was stopped restarts nothing, not even what it waited for', () => {
    const { clock, host, supervisor, done } = supervise(supervisionTree);
    // XState warns of what is sent to an actor that has ended.
    const warn = vi.spyOn(console, 'warn');
    const shown: unknown[] = [];
    host.inspect((event) => {
      if (event.type === '@xstate.snapshot') shown.push((event.snapshot as AnyMachineSnapshot).value);
    });
    supervisor.failed('journal');
    supervisor.stop();
    supervisor.failed('directory');
    supervisor.started();
    clock.advance(60_000);
    expect([done, clock.pendingTimers, host.rootCount]).toEqual([[], 0, 0]);
    expect(shown).toEqual(['backingOff', 'stopped']);
    expect(warn).not.toHaveBeenCalled();
  });
});

describe('a supervisor of independent children', () => {
  it('restarts each of them at once, by itself', () => {
    const { supervisor, done } = supervise(sessions);
    supervisor.failed('session:a');
    supervisor.failed('session:b');
    supervisor.failed('session:a');
    expect(done).toEqual(['0 child session:a', '0 child session:b', '0 child session:a']);
  });

  it('hands up the one that is too many within its period', () => {
    const { clock, supervisor, done } = supervise(sessions);
    const { restartsMax, periodMs } = sessions.supervises;
    for (let failures = 0; failures < restartsMax; failures += 1) supervisor.failed('session:a');
    clock.advance(periodMs);
    supervisor.failed('session:b');
    expect(done.slice(restartsMax)).toEqual([`${periodMs} escalate session:b`]);
  });

  it('goes on when the period is over', () => {
    const { clock, supervisor, done } = supervise(sessions);
    const { restartsMax, periodMs } = sessions.supervises;
    for (let failures = 0; failures < restartsMax; failures += 1) supervisor.failed('session:a');
    clock.advance(periodMs + 1);
    supervisor.failed('session:b');
    expect(done.slice(restartsMax)).toEqual([`${periodMs + 1} child session:b`]);
  });
});

it('is made from a node that supervises, and from no other', () => {
  expect(() => supervise(supervisionTree.children[0])).toThrow("'journal' is no supervisor in the tree.");
});

/** Each command of this kind shows a defect when it is tried first, and is fine the second time. */
function createFlaky() {
  const tried = new Set<unknown>();
  return sessionCommand({
    type: 'flaky',
    scope: 'drive',
    lane: 'work',
    activity: 'user',
    fields: envelopes.session,
    decide: ({ id }) => {
      const outcome = { success: true } as const;
      if (tried.has(id)) return { do: 'settle', outcome };
      tried.add(id);
      return {
        do: 'settle',
        outcome,
        get facts(): never {
          throw new Error('a defect');
        },
      };
    },
  });
}

describe('in a server', () => {
  it('sessions that fail too often are restarted as a whole, and each by itself again after that', async () => {
    const { world, client, send } = await createScene({ commands: [createFlaky()] });
    const { restartsMax } = sessions.supervises;
    const ids = Array.from({ length: restartsMax + 1 }, (_, index) => `f${index}`);
    for (const id of ids) await send({ type: 'flaky', id, sessionId: 's' });
    await world.advance(1000);
    const last = ids.pop()!;
    for (const id of ids) expect(client.response(id), id).toMatchObject({ success: true });
    expect(client.response(last), 'it was not durable').toMatchObject({ errorCode: 'JOURNAL_UNAVAILABLE' });
    await send({ type: 'flaky', id: last, sessionId: 's' });
    expect(client.response(last)).toMatchObject({ success: true });
    expect(client.of('startup_recovery_summary').map(({ data }) => data.boot)).toEqual([2]);
    await send({ type: 'flaky', id: 'later', sessionId: 's' });
    await world.advance(1000);
    expect(client.response('later')).toMatchObject({ success: true });
    expect(client.of('startup_recovery_summary'), 'by itself').toHaveLength(1);
    expect(world.fatal).toEqual([]);
  });

  it('the journal shows that it can not be written, also when a restart is what finds it out', async () => {
    const world = createWorld();
    await world.start();
    let journal: AnyActorRef | undefined;
    world.system.inspect(({ type, actorRef }, place) => {
      if (type === '@xstate.actor' && place?.id === 'journal') journal = actorRef as AnyActorRef;
    });
    const state = (): unknown => (journal!.getSnapshot() as AnyMachineSnapshot).value;
    expect(state()).toBe('writable');
    world.journal.keepFailing(new Error('disk full'));
    world.system.transportsFailed(new Error('the port is gone'));
    await world.advance(1000);
    expect(state()).toBe('unavailable');
    await world.advance(3_600_000);
    expect(world.fatal, 'and is waited for').toEqual([]);
    world.journal.mend();
    await world.advance(10_000);
    expect(state()).toBe('writable');
  });

  it('a child of the root that fails again after every restart ends the process, with the reason', async () => {
    const world = createWorld();
    await world.start();
    const { restartsMax } = supervisionTree.supervises;
    for (let failures = 0; failures < restartsMax; failures += 1) {
      world.system.transportsFailed(new Error('the port is gone'));
      await world.advance(5000);
    }
    expect(world.fatal).toEqual([]);
    world.system.transportsFailed(new Error('the port is gone'));
    await world.advance(60_000);
    expect(world.fatal.map(({ message }) => message)).toEqual([
      'transports failed too often: Rebuilding after transports failed: the port is gone',
    ]);
    await expect(world.system.drain()).rejects.toThrow('transports failed too often');
  });
});
