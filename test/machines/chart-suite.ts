/**
 * What holds for every chart: its table is the reviewed one, it does on a running actor what its definition says, on paths that
 * take every transition, and it takes exactly the events that it can take. What only one chart promises comes as `promise`.
 */
import { describe, expect, it, vi } from 'vitest';
import { models } from '../../src/testing/models.ts';
import { pathsOf, reportPaths, verifyPath, verticesOf } from '../../src/testing/paths.ts';
import type { WalkedPath } from '../../src/testing/paths.ts';
import { pathTitle, playPath } from '../../src/testing/play.ts';
import type { PlayedStep } from '../../src/testing/play.ts';
import { transitionTable } from '../../src/testing/transition-table.ts';

export interface ChartPromise {
  /** States and transitions, all of them taken: a number that changes is a chart that changed. */
  readonly states: number;
  readonly transitions: number;
  /** Called with each path as it was played, from the start on. */
  readonly promise: (steps: readonly PlayedStep[], path: WalkedPath) => void;
}

export function describeChart(name: string, { states, transitions, promise }: ChartPromise): void {
  const model = models[name]!;
  const vertices = verticesOf(model);
  const paths = pathsOf(model);

  describe(`the ${name} chart`, () => {
    it('answers every event in every state as its table says', async () => {
      await expect(transitionTable(model)).toMatchFileSnapshot(`./${name}.table.txt`);
    });

    it('has a path to every state and over every transition', () => {
      expect(reportPaths(model)).toMatchObject({
        states: { total: states, covered: states },
        transitions: { total: transitions, covered: transitions },
        unreachable: [],
      });
    });

    it.each(paths.map((path) => [titleOf(path), path] as const))('runs %s', (_, path) => {
      promise(verifyPath(model, path), path);
    });

    it('takes an event exactly where it can, and is unmoved by every other one', () => {
      // XState warns of each event that comes after the end; here they come on purpose.
      vi.spyOn(console, 'warn').mockImplementation(() => undefined);
      for (const { path } of vertices) {
        const last = playPath(model.machine, path, model.project).at(-1)!;
        for (const event of model.events) {
          const canTake = last.snapshot.status === 'active' && last.snapshot.can(event);
          const next = playPath(model.machine, { ...path, events: [...path.events, event] }, model.project).at(-1)!;
          const title = `${titleOf(path)} > ${event.type}`;
          expect(next.taken.length > 0, title).toBe(canTake);
          if (!canTake) expect([next.position, next.intents], title).toEqual([last.position, []]);
        }
      }
    });

    it('takes nothing once it is final', () => {
      for (const { path, edges } of vertices) {
        if (path.positions.at(-1)?.status === 'done') expect(edges, titleOf(path)).toEqual([]);
        else expect(edges.length, titleOf(path)).toBeGreaterThan(0);
      }
    });
  });
}

const titleOf = (path: WalkedPath): string =>
  path.input === undefined ? pathTitle(path) : `${pathTitle(path)} from ${JSON.stringify(path.input)}`;

/** The intents of a path in order, by name. */
export const intentsOf = (steps: readonly PlayedStep[]): string[] =>
  steps.flatMap(({ intents }) => intents.map(({ type }) => type));

/** Is the actor, after this step, in a state or below it? */
export const isIn = (step: PlayedStep, state: string): boolean =>
  step.position.states.some((active) => active === state || active.startsWith(`${state}.`));
