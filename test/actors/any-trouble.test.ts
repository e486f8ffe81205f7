/**
 * Whatever fails under any script, journals and defects alike: each frame gets one answer, what was told is what is stored,
 * viewers miss nothing without being told, and in the end everything goes on. Failures are planted between the steps of random
 * scripts.
 */
import fc from 'fast-check';
import { afterEach, expect, it, vi } from 'vitest';
import type { Connection } from '../../actors/connection.ts';
import type { Entry } from '../../actors/entry.ts';
import { Deduplication } from '../../actors/deduplication.ts';
import { Session } from '../../actors/session/session.ts';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import type { Step } from '../support/random-script.ts';
import { foldSessions } from '../support/fold.ts';
import { entryProblems, eventProblems } from '../support/script-checks.ts';
import { audit } from '../support/audit.ts';
import { entriesOf } from '../support/store.ts';

/** Shorter than the waits of a script: sessions are announced, extended and ended in the middle of everything else. */
const SHORT_LIVES = { baseMs: 60_000, extensionMs: 30_000, extensionsMax: 2, thresholdMs: 20_000 };

const full = (): Error => Object.assign(new Error('database or disk is full'), { code: 'SQLITE_FULL' });

const troubles = {
  none: () => undefined,
  'one batch fails': ({ world }: ScriptPlayer) => world.journal.failNext(full()),
  'what waits fails': ({ world }: ScriptPlayer) => world.journal.fail(full()),
  'the disk is full': ({ world }: ScriptPlayer) => world.journal.keepFailing(full()),
  'there is room again': ({ world }: ScriptPlayer) => world.journal.mend(),
  'the thread dies, all stored': ({ world }: ScriptPlayer) => world.journal.die(new Error('the thread ended')),
  'the thread dies, half stored': ({ world }: ScriptPlayer) => world.journal.die(new Error('the thread ended'), 1),
  'a defect in the directory': () => throwOnce(Deduplication.prototype, 'find'),
  'a defect behind an admission': () => throwOnce(Deduplication.prototype, 'register'),
  'a defect in a session, before it records': () => throwOnce(Session.prototype, 'record'),
  'a defect in a session, after it recorded': () => {
    const record = Session.prototype.record;
    vi.spyOn(Session.prototype, 'record').mockImplementationOnce(function (this: Session, draft, at) {
      record.call(this, draft, at);
      throw new Error('a defect');
    });
  },
  'time passes': ({ world }: ScriptPlayer) => world.advance(7_000),
} satisfies Record<string, (player: ScriptPlayer) => unknown>;

type Trouble = keyof typeof troubles;

function throwOnce(prototype: object, method: string): void {
  vi.spyOn(prototype as Record<string, () => unknown>, method).mockImplementationOnce(() => {
    throw new Error('a defect');
  });
}

const trouble: fc.Arbitrary<Trouble> = fc.oneof(
  { weight: 30, arbitrary: fc.constant<Trouble>('none') },
  { weight: 1, arbitrary: fc.constantFrom(...(Object.keys(troubles) as Trouble[])) },
);

const troubled = (maxLength: number): fc.Arbitrary<[Step, Trouble][]> =>
  scripts(maxLength).chain((steps) => fc.tuple(...steps.map((step) => fc.tuple(fc.constant(step), trouble))));

afterEach(() => void vi.restoreAllMocks());

it('any trouble under any script leaves every frame answered and the journal true', { timeout: 240_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(troubled(30), async (steps) => {
      vi.restoreAllMocks();
      const player = await ScriptPlayer.start({ limits: { idempotencyCacheBytesMax: 600, lease: SHORT_LIVES } });
      const { world } = player;
      const asked = countAsked(player);
      for (const [step, which] of steps) {
        await troubles[which](player);
        await player.play([step]);
      }
      vi.restoreAllMocks();
      world.journal.mend();
      world.journal.pass();
      await world.advance(20_000);
      await player.finish();
      const entries = await entriesOf(world.store);
      // What was refused and sent again was admitted when it came again.
      const once = player.sent.filter(({ id }) => asked.get(id) === 1);
      expect(entryProblems(entries, once)).toEqual([]);
      expect(world.fatal).toEqual([]);
      expect(world.system.live).toMatchObject({ timers: 0, held: 0 });
      expect(unanswered(player, asked)).toEqual([]);
      expect((player.client.peer as Connection).pending).toBe(0);
      expect(untrue(player, entries)).toEqual([]);
      expect(eventProblems(player.client)).toEqual([]);
      player.client.send({ type: 'get_metrics', id: 'metrics' });
      await world.settle();
      expect(player.client.response('metrics')).toMatchObject({ data: { commands: { inFlight: 1 } } });
      const folded = foldSessions(entries);
      // Some are idle by now: who asks for them finds them as they were.
      for (const sessionId of SESSIONS) player.client.send({ type: 'get_state', id: `state-${sessionId}`, sessionId });
      await world.settle();
      for (const id of SESSIONS) {
        expect(folded.get(id)?.state).toEqual(world.system.session(id)?.state);
        expect(folded.get(id)?.snapshot).toEqual(world.system.session(id)?.snapshot);
      }
    }),
    { numRuns: 200 },
  );
});

/** How often each id was asked. */
function countAsked({ client }: ScriptPlayer): ReadonlyMap<string, number> {
  const asked = new Map<string, number>();
  const send = client.send.bind(client);
  client.send = (frame) => {
    const { id } = frame as { id: string };
    asked.set(id, (asked.get(id) ?? 0) + 1);
    send(frame);
  };
  return asked;
}

function unanswered({ client }: ScriptPlayer, asked: ReadonlyMap<string, number>): string[] {
  const answers = new Map<string, number>();
  for (const { id } of client.responses()) answers.set(String(id), (answers.get(String(id)) ?? 0) + 1);
  return [...asked]
    .filter(([id, times]) => answers.get(id) !== times)
    .map(([id, times]) => `${id} was asked ${times} times and answered ${answers.get(id) ?? 0} times`);
}

const READS = ['get_state', 'ping', 'attach_session'];

/** Successes that somebody was told, and that the journal does not hold as they were told. */
function untrue({ client, sent }: ScriptPlayer, entries: readonly Entry[]): string[] {
  const outcomes = new Map([...audit(entries).outcomes.values()].map((end) => [end.commandId, end]));
  const told = client.responses().filter(({ success, replayed }) => success === true && replayed !== true);
  const wrong = told.filter(({ id, command, durable, sessionVersion }) => {
    if (READS.includes(String(command)) || durable === false) return false;
    if (!sent.some((one) => one.id === id)) return true;
    const outcome = outcomes.get(String(id));
    return outcome?.success !== true || (command !== 'delete_session' && outcome.sessionVersion !== sessionVersion);
  });
  return wrong.map(({ id, command }) => `${String(command)} ${String(id)} succeeded, and is not stored so`);
}
