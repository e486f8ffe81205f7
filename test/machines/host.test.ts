/**
 * The generated paths once more, under the runtime's own host: an actor that runs for real is where its chart says, and what it
 * wants done is what the chart names, children included.
 */
import { describe, expect, it } from 'vitest';
import { Host } from '../../actors/host.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { models } from '../../src/testing/models.ts';
import { pathsOf, verifyPath } from '../../src/testing/paths.ts';
import { pathTitle, positionOf } from '../../src/testing/play.ts';

describe.each(Object.entries(models))('under the host of the runtime, the %s chart', (name, model) => {
  it('is where its definition says, and wants the same done', () => {
    const host = new Host(createSimulatedClock());
    for (const path of pathsOf(model)) {
      const [first, ...steps] = verifyPath(model, path);
      let actor: ReturnType<typeof host.start<typeof model.machine>>;
      const started = host.collect(() => (actor = host.start(model.machine, name, path.input)));
      expect([positionOf(actor!.getSnapshot(), model.project), started]).toEqual([first!.position, first!.intents]);
      for (const { event, position, intents } of steps) {
        const collected = host.collect(() => actor.send(event!));
        const title = `${pathTitle(path)}, at ${event!.type}`;
        expect([positionOf(actor!.getSnapshot(), model.project), collected], title).toEqual([position, intents]);
      }
      host.stop(actor!);
    }
    expect(host.rootCount).toBe(0);
  });
});
