/**
 * Many clients want to create, use and delete the same sessions at once: each id has one owner or none, and nothing leaks.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { audit } from '../support/audit.ts';
import { ManualEngine } from '../support/manual-engine.ts';
import { entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { Client } from '../support/world.ts';

const IDS = ['a', 'b'];

type Move =
  | { readonly do: 'send'; readonly client: number; readonly type: string; readonly session: number }
  | { readonly do: 'finish' }
  | { readonly do: 'hold' }
  | { readonly do: 'commit' }
  | { readonly do: 'settle' };

const move: fc.Arbitrary<Move> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('send' as const),
      client: fc.nat(3),
      type: fc.constantFrom('create_session', 'delete_session', 'switch_session', 'prompt', 'create_session'),
      session: fc.nat(IDS.length - 1),
    }),
  },
  { weight: 1, arbitrary: fc.constant({ do: 'finish' as const }) },
  { weight: 1, arbitrary: fc.constantFrom({ do: 'hold' as const }, { do: 'commit' as const }) },
  { weight: 2, arbitrary: fc.constant({ do: 'settle' as const }) },
);

async function race(moves: readonly Move[]) {
  const engine = new ManualEngine();
  const world = createWorld({ engines: [engine] });
  await world.start();
  const clients = Array.from({ length: 4 }, () => world.connect());
  const baseline = world.system.live;
  let finished = 0;
  for (const one of moves) {
    if (one.do === 'send') {
      clients[one.client]!.send({
        type: one.type,
        sessionId: IDS[one.session],
        ...(one.type === 'prompt' && { message: 'm' }),
      });
    } else if (one.do === 'finish') {
      engine.turns[finished]?.finish();
      if (finished < engine.turns.length) finished += 1;
    } else if (one.do === 'hold') world.journal.hold();
    else if (one.do === 'commit') world.journal.release(1);
    else await world.settle();
  }
  world.journal.pass();
  await world.settle();
  return { world, engine, clients, baseline };
}

/** How often a client was told that a session was made or deleted. */
function tellings(client: Client, sessionId: string): string[] {
  return client.frames
    .filter(({ type }) => type === 'session_created' || type === 'session_deleted')
    .filter((frame) => frame['data'].sessionId === sessionId)
    .map(({ type }) => type);
}

it('any interleaving leaves one owner or none, and everybody is told the same', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(move, { maxLength: 40, size: 'max' }), async (moves) => {
      const { world, engine, clients } = await race(moves);
      // What waits for an engine of a deleted session goes on when that has let go.
      for (let round = 0; round < 50; round += 1) {
        for (const turn of engine.turns) turn.finish();
        await world.settle();
      }
      for (const id of IDS) {
        const told = tellings(clients[0]!, id);
        // Made and deleted in turns: there are never two, and none is deleted that was not made.
        told.forEach((type, index) => expect(type).toBe(index % 2 === 0 ? 'session_created' : 'session_deleted'));
        for (const client of clients) expect(tellings(client, id)).toEqual(told);
        const exists = world.system.session(id) !== undefined;
        expect(exists).toBe(told.length % 2 === 1);
      }
      expect(world.system.live.sessions).toBe(IDS.filter((id) => world.system.session(id) !== undefined).length);
      const { problems, open } = audit(await entriesOf(world.store));
      expect(problems).toEqual([]);
      expect(open).toEqual([]);
      for (const client of clients) {
        const sent = moves.filter((one) => one.do === 'send' && clients[one.client] === client).length;
        expect(client.responses()).toHaveLength(sent);
      }
    }),
    { numRuns: 200 },
  );
});

it('any interleaving leaves nothing in memory once the sessions are gone', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(move, { maxLength: 40, size: 'max' }), async (moves) => {
      const { world, engine, clients, baseline } = await race(moves);
      for (let round = 0; round < 50; round += 1) {
        for (const turn of engine.turns) turn.finish();
        await world.settle();
      }
      for (const id of IDS) clients[0]!.send({ type: 'delete_session', sessionId: id });
      await world.settle();
      expect({ ...world.system.live, known: 0 }).toEqual({ ...baseline, known: 0 });
      expect(world.clock.pendingTimers).toBe(0);
      // A name that was fought over is as good as a new one.
      for (const id of IDS) {
        clients[0]!.send({ type: 'create_session', id: `new-${id}`, sessionId: id });
        clients[0]!.send({ type: 'prompt', id: `p-${id}`, sessionId: id, message: 'm' });
      }
      await world.settle();
      for (const turn of engine.turns) turn.finish();
      await world.settle();
      for (const id of IDS) expect(clients[0]!.response(`p-${id}`)).toMatchObject({ success: true, sessionVersion: 1 });
    }),
    { numRuns: 150 },
  );
});
