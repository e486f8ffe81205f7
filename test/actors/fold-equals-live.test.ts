/**
 * What is in memory is a function of the journal: folding it gives the same sessions and the same charts, in the middle of
 * everything and after a restart.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { foldSessions } from '../support/fold.ts';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import type { Step } from '../support/random-script.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';

/** What is compared has to be in memory. */
const NEVER_MS = 2 ** 31 - 1;

const sends = (kind: Extract<Step, { do: 'send' }>['kind'], session: number, depends: number[] = []): Step => ({
  do: 'send',
  kind,
  session,
  depends,
  version: undefined,
  key: undefined,
  slow: false,
});

/** Two creations of one session, each waiting for a prompt of another: the second one queues before there is a session. */
const QUEUED_BEFORE_THE_SESSION: Step[] = [
  sends('create_session', 0),
  { do: 'settle' },
  sends('prompt', 0),
  sends('create_session', 2, [1]),
  { do: 'settle' },
  sends('prompt', 0),
  sends('create_session', 2, [1]),
  { do: 'finish', turn: 0, ok: true },
  { do: 'settle' },
];

it(
  'folding the journal gives the sessions and charts that are live, wherever a script stands',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(scripts(40), async (steps) => {
        const player = await ScriptPlayer.start({ limits: { passivationIdleMs: NEVER_MS } });
        await player.play(steps);
        player.world.journal.pass();
        await player.world.settle();
        const folded = foldSessions(await entriesOf(player.world.store));
        for (const id of SESSIONS) {
          const live = player.world.system.session(id);
          expect(folded.get(id)?.state).toEqual(live?.state);
          expect(folded.get(id)?.snapshot).toEqual(live?.snapshot);
        }
      }),
      { numRuns: 200, examples: [[QUEUED_BEFORE_THE_SESSION]] },
    );
  },
);

it('a restart after everything has ended gives back the same sessions and charts', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(scripts(40), async (steps) => {
      const player = await ScriptPlayer.start({ limits: { passivationIdleMs: NEVER_MS } });
      await player.play(steps);
      await player.finish();
      const { system, store, clock } = player.world;
      const next = createWorld({ engines: [player.engine, player.slow], store: copyStore(store), clock });
      const recovery = await next.start();
      expect(recovery).toMatchObject({ classified: [], requeued: 0, sessions: system.live.sessions });
      for (const id of SESSIONS) {
        expect(next.system.session(id)?.state).toEqual(system.session(id)?.state);
        expect(next.system.session(id)?.snapshot).toEqual(system.session(id)?.snapshot);
      }
    }),
    { numRuns: 100 },
  );
});
