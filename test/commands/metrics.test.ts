import { describe, expect, it } from 'vitest';
import { getMetrics } from '../../src/commands/metrics.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { decide, recovery, serverView } from './views.ts';

const unused = undefined;

describe('get_metrics', () => {
  it("says what was counted, with the base's names and ours", () => {
    const activity = {
      admitted: 9,
      requeued: 1,
      succeeded: 4,
      failed: new Map([['SESSION_LIMIT', 2]]),
      replayed: 3,
      refused: new Map([
        ['TOO_MANY_PENDING', 5],
        ['FRAME_TOO_LARGE', 6],
        ['SESSION_LIMIT', 1],
      ]),
      connectionsRefused: 7,
    };
    const server = serverView({ activity, live: { sessions: 3, known: 11 } });
    expect(decide(getMetrics, {}, unused, server)).toMatchObject({
      outcome: {
        success: true,
        data: {
          sessionCount: 3,
          connectionCount: 1,
          totalCommandsExecuted: 6,
          commandsRejected: { sessionLimit: 3, messageSize: 6, rateLimit: 0, connectionLimit: 7 },
          stores: {
            replay: { inFlightCount: 4, outcomeCount: 11, inFlightRejections: 5 },
            version: { sessionCount: 3 },
            execution: { laneCount: 0 },
            journal: { journalPath: recovery.journal, entriesWritten: 2, entriesScanned: 12, recoveredOutcomes: 5 },
          },
          circuitBreakers: [],
          startedAt: '2026-01-02T03:04:05.006Z',
          uptimeMs: 5000,
          live: { sessions: 3, connections: 1, timers: 0, children: 0, actors: 2 },
          commands: {
            admitted: 9,
            requeued: 1,
            inFlight: 4,
            succeeded: 4,
            failed: { SESSION_LIMIT: 2 },
            replayed: 3,
            refused: { FRAME_TOO_LARGE: 6, SESSION_LIMIT: 1, TOO_MANY_PENDING: 5 },
          },
          journal: { offset: 14, entries: 2, batches: 1, durable: 1, writable: true },
        },
      },
    });
  });

  const metricsOf = async ({ client, send }: Scene) => {
    await send({ type: 'get_metrics' });
    return client.responses().at(-1)!['data'];
  };

  it('counts refusals by code, before and after deduplication, and failures apart from them', async () => {
    const scene = await createScene({ limits: { connectionsMax: 1 } });
    const { client, send, world } = scene;
    client.raw('no json');
    await send(
      { type: 'nope' },
      { type: 'abort', id: 'a', sessionId: 's' },
      { type: 'prompt', id: 'a', sessionId: 's', message: 'another command' },
      { type: 'abort', id: 'a', sessionId: 's' },
      { type: 'abort', id: 'b', sessionId: 's', dependsOn: ['unknown'] },
      { type: 'get_state', id: 'c', sessionId: 'nowhere' },
    );
    world.connect();
    const { commands, commandsRejected, connectionCount } = await metricsOf(scene);
    expect(commands.refused).toEqual({ DEPENDENCY_UNKNOWN: 1, ID_CONFLICT: 1, INVALID_JSON: 1, UNKNOWN_COMMAND: 1 });
    expect(commands.failed).toEqual({ SESSION_NOT_FOUND: 1 });
    expect(commands.replayed).toBe(1);
    // The scene's own two, the abort, the read that failed; and the one that asks.
    expect(commands).toMatchObject({ admitted: 5, succeeded: 3, inFlight: 1 });
    expect(commandsRejected.connectionLimit).toBe(1);
    expect(connectionCount).toBe(1);
  });

  it('shows the actors, timers and children of a running turn, and none of them afterwards', async () => {
    const scene = await createScene();
    const before = (await metricsOf(scene)).live;
    await scene.prompt('p');
    const during = (await metricsOf(scene)).live;
    expect(during.timers).toBe(before.timers + 1);
    expect(during.children).toBeGreaterThan(before.children);
    scene.engine.turn.finish();
    await scene.world.settle();
    const after = (await metricsOf(scene)).live;
    expect({ ...after, known: 0 }).toEqual({ ...before, known: 0 });
    expect(before).toMatchObject({ sessions: 1, connections: 1, timers: 0, children: 0 });
  });

  it('counts entries and batches, and how far they are durable', async () => {
    const scene = await createScene();
    const { client, world } = scene;
    const before = (await metricsOf(scene)).journal;
    expect(before).toMatchObject({ writable: true, offset: world.store.rows.length, durable: before.batches });
    world.journal.hold();
    client.send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'x' });
    client.send({ type: 'get_metrics', id: 'held' });
    await world.settle();
    expect(scene.response('held')).toBeUndefined();
    world.journal.pass();
    await world.settle();
    expect(scene.response('held')!['data'].journal).toMatchObject({
      entries: before.entries + 1,
      batches: before.batches + 1,
      durable: before.batches,
    });
  });
});
