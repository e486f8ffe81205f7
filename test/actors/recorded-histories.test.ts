/**
 * No behaviour beside the charts: what commands and lanes really went through is something that their charts allow.
 */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Command } from '../../actors/command.ts';
import { commandMachine } from '../../machines/command.ts';
import type { CommandEvent } from '../../machines/command.ts';
import { laneMachine } from '../../machines/lane.ts';
import type { LaneEvent } from '../../machines/lane.ts';
import { playHistory } from '../../src/testing/history.ts';
import { createScene } from '../support/scene.ts';
import { ScriptPlayer, scripts } from '../support/random-script.ts';
import { limits } from '../support/world.ts';
import type { World } from '../support/world.ts';

/** Every step of every command that the server admits from now on. */
function recordCommands(world: World): Map<Command, CommandEvent[]> {
  const histories = new Map<Command, CommandEvent[]>();
  world.system.observeCommands((command, step) => {
    const history = histories.get(command) ?? [];
    history.push({ type: step });
    histories.set(command, history);
  });
  return histories;
}

/** What each lane's chart was sent, by session and life of the chart. */
function recordLanes(world: World): Map<string, LaneEvent[]> {
  const histories = new Map<string, LaneEvent[]>();
  world.system.inspect((event) => {
    if (event.type !== '@xstate.event') return;
    const { actorRef } = event;
    if (!('id' in actorRef) || actorRef.id !== 'lane' || event.event.type.startsWith('xstate.')) return;
    const history = histories.get(actorRef.sessionId) ?? [];
    history.push(event.event as LaneEvent);
    histories.set(actorRef.sessionId, history);
  });
  return histories;
}

it('the recording is a history of every command, from its admission to its end', async () => {
  const { world, send, prompt, engine } = await createScene();
  const histories = recordCommands(world);
  await prompt('p');
  await send({ type: 'set_session_name', id: 'n', sessionId: 's', name: 'n', dependsOn: ['p'] });
  await send({ type: 'steer', id: 'st', sessionId: 's', message: 'm', dependsOn: ['p'] });
  engine.turn.finish();
  await world.settle();
  const steps = new Map([...histories].map(([{ commandId }, history]) => [commandId, history.map(({ type }) => type)]));
  expect(steps.get('p')).toEqual(['command.admitted', 'command.started', 'command.succeeded']);
  expect(steps.get('n')?.at(-1)).toBe('command.succeeded');
  expect(steps.get('st')).toEqual([
    'command.admitted',
    'command.postponed',
    'dependencies.resolved',
    'command.started',
    'command.succeeded',
  ]);
});

it('a command at the head of its lane is told to go on, also when its dependency ended in the same lane', async () => {
  const { world, send, prompt, engine } = await createScene();
  const histories = recordCommands(world);
  await send({ type: 'create_session', id: 'c', sessionId: 'b' });
  await prompt('p', 'b');
  const name = (id: string, dependsOn: string[]) => ({
    type: 'set_session_name',
    id,
    sessionId: 's',
    name: id,
    dependsOn,
  });
  await send(name('head', ['p']), name('next', ['head']), name('last', ['p', 'next']));
  engine.turn.finish();
  await world.settle();
  for (const history of histories.values()) playHistory(commandMachine, history);
  expect(histories.size).toBe(5);
});

it('any script’s commands go through their chart and end in it', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(scripts(40), async (steps) => {
      const player = await ScriptPlayer.start();
      const histories = recordCommands(player.world);
      await player.play(steps);
      await player.finish();
      expect(histories.size).toBeGreaterThan(0);
      for (const history of histories.values()) {
        expect(playHistory(commandMachine, history).status).toBe('done');
      }
    }),
    { numRuns: 200 },
  );
});

it('any script’s lanes take every event that they are sent', { timeout: 120_000 }, async () => {
  let lanes = 0;
  await fc.assert(
    fc.asyncProperty(scripts(40), async (steps) => {
      const player = await ScriptPlayer.start();
      const histories = recordLanes(player.world);
      await player.play(steps);
      await player.finish();
      lanes += histories.size;
      for (const history of histories.values()) {
        playHistory(laneMachine, history, { depthMax: limits.mailboxDepthMax });
      }
    }),
    { numRuns: 200 },
  );
  expect(lanes).toBeGreaterThan(0);
});
