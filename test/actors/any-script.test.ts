/**
 * Whatever clients, engines and commits do, and in whatever order: no command is lost, done twice or done too early, and
 * nothing stays behind.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import { entryProblems, frameProblems } from '../support/script-checks.ts';
import { entriesOf } from '../support/store.ts';

it(
  'any script ends with one outcome per command, dependencies first, lanes in order',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(scripts(40), async (steps) => {
        const player = await ScriptPlayer.start();
        await player.play(steps);
        await player.finish();
        const once = player.sent.filter(({ id }) => !player.repeated.has(id));
        expect(entryProblems(await entriesOf(player.world.store), once)).toEqual([]);
        expect(frameProblems(player.client, player.sent)).toEqual([]);
        expect(player.world.fatal).toEqual([]);
        expect(player.world.system.live).toMatchObject({ timers: 0, held: 0 });
      }),
      { numRuns: 300 },
    );
  },
);

it('any script leaves nothing in memory once its sessions are deleted', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(scripts(25), async (steps) => {
      const player = await ScriptPlayer.start();
      const { client, world } = player;
      const before = world.system.live;
      await player.play(steps);
      await player.finish();
      for (const sessionId of SESSIONS) client.send({ type: 'delete_session', sessionId });
      await world.settle();
      for (const sessionId of SESSIONS) client.send({ type: 'get_state', id: `gone-${sessionId}`, sessionId });
      await world.settle();
      for (const sessionId of SESSIONS) {
        expect(client.response(`gone-${sessionId}`)).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
      }
      expect({ ...world.system.live, known: 0 }).toEqual({ ...before, known: 0 });
    }),
    { numRuns: 150 },
  );
});
