/** The seam to XState: effects are data that somebody collects, and looking at actors changes nothing about them. */
import { describe, expect, it } from 'vitest';
import { setup } from 'xstate';
import type { InspectionEvent } from 'xstate';
import { effect } from '../../machines/effect.ts';
import { Host } from '../../actors/host.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';

const lamp = setup({
  types: { events: {} as { type: 'switched' } },
  actions: { shine: effect<{ watts: number }>('shine'), click: effect('click') },
}).createMachine({
  id: 'lamp',
  initial: 'off',
  states: {
    off: { on: { switched: { target: 'on', actions: 'click' } } },
    on: { entry: { type: 'shine', params: { watts: 40 } }, on: { switched: { target: 'off', actions: 'click' } } },
  },
});

const room = setup({
  types: { events: {} as { type: 'entered' } },
  actors: { lamp },
  actions: { greet: effect('greet') },
}).createMachine({
  id: 'room',
  initial: 'empty',
  states: {
    empty: { on: { entered: { target: 'used', actions: 'greet' } } },
    used: { invoke: { src: 'lamp', id: 'lamp' } },
  },
});

const createHost = () => new Host(createSimulatedClock());

describe('the outbox', () => {
  it('collects what a transition wants done, in order, and does none of it', () => {
    const host = createHost();
    const actor = host.start(lamp, 'lamp', undefined);
    const intents = host.collect(() => {
      actor.send({ type: 'switched' });
      actor.send({ type: 'switched' });
    });
    expect(intents).toEqual([
      { type: 'click', params: undefined },
      { type: 'shine', params: { watts: 40 } },
      { type: 'click', params: undefined },
    ]);
  });

  it('collects what children want as well', () => {
    const host = createHost();
    const actor = host.start(room, 'room', undefined);
    const intents = host.collect(() => {
      actor.send({ type: 'entered' });
      (actor.getSnapshot().children['lamp'] as { send(event: { type: string }): void }).send({ type: 'switched' });
    });
    expect(intents.map(({ type }) => type)).toEqual(['greet', 'click', 'shine']);
  });

  it('is never open twice: intents of two transitions would mix', () => {
    const host = createHost();
    expect(() => host.collect(() => host.collect(() => undefined))).toThrow('open already');
    expect(host.collect(() => undefined)).toEqual([]);
  });

  it('is closed by a transition that throws', () => {
    const host = createHost();
    const broken = (): void => {
      throw new Error('a bug');
    };
    expect(() => host.collect(broken)).toThrow('a bug');
    expect(host.collect(() => undefined)).toEqual([]);
  });
});

describe('roots', () => {
  it('are counted while they run, with what is below them', () => {
    const host = createHost();
    const actor = host.start(room, 'room', undefined);
    host.collect(() => actor.send({ type: 'entered' }));
    expect([host.rootCount, host.countChildren()]).toEqual([1, 1]);
    host.stop(actor);
    expect([host.rootCount, host.countChildren()]).toEqual([0, 0]);
  });

  it('do not share a system: one is stopped without a look at the others', () => {
    const host = createHost();
    const [first, second] = [host.start(lamp, 'one', undefined), host.start(lamp, 'two', undefined)];
    expect(first.system).not.toBe(second.system);
    host.stop(first);
    host.collect(() => second.send({ type: 'switched' }));
    expect(second.getSnapshot().value).toBe('on');
  });
});

describe('an inspector', () => {
  it('sees actors that are there and actors to come, until it is detached', () => {
    const host = createHost();
    const seen: string[] = [];
    const record = (event: InspectionEvent): void => {
      if (event.type === '@xstate.event') seen.push((event.actorRef as { id?: string }).id ?? '');
    };
    const before = host.start(lamp, 'before', undefined);
    const detach = host.inspect(record);
    const after = host.start(lamp, 'after', undefined);
    seen.length = 0;
    host.collect(() => before.send({ type: 'switched' }));
    host.collect(() => after.send({ type: 'switched' }));
    expect(seen).toEqual(['before', 'after']);
    detach();
    host.collect(() => before.send({ type: 'switched' }));
    host.collect(() => host.start(lamp, 'later', undefined).send({ type: 'switched' }));
    expect(seen).toEqual(['before', 'after']);
  });

  it('is told of every actor once: of those that are there with what is below them, and of each that comes', () => {
    const host = createHost();
    const introduced: string[] = [];
    const before = host.start(room, 'before', undefined);
    host.collect(() => before.send({ type: 'entered' }));
    host.inspect((event) => {
      if (event.type === '@xstate.actor') introduced.push((event.actorRef as { id?: string }).id ?? '');
    });
    expect(introduced).toEqual(['before', 'lamp']);
    const after = host.start(room, 'after', undefined);
    expect(introduced).toEqual(['before', 'lamp', 'after']);
    host.collect(() => after.send({ type: 'entered' }));
    expect(introduced).toEqual(['before', 'lamp', 'after', 'lamp']);
  });

  it('that throws is not asked again, and the actor does not notice', () => {
    const host = createHost();
    const actor = host.start(lamp, 'lamp', undefined);
    let asked = 0;
    host.inspect(() => {
      asked += 1;
      throw new Error('a bug');
    });
    const intents = host.collect(() => actor.send({ type: 'switched' }));
    expect(intents).toHaveLength(2);
    expect(actor.getSnapshot().value).toBe('on');
    expect(asked).toBe(1);
  });

  it('is not there when nobody looks: no system has anyone to tell', () => {
    const host = createHost();
    const actor = host.start(lamp, 'lamp', undefined);
    const { system } = actor;
    let subscribed = 0;
    const { inspect } = system;
    system.inspect = (observer) => {
      subscribed += 1;
      return inspect.call(system, observer);
    };
    host.collect(() => actor.send({ type: 'switched' }));
    expect(subscribed).toBe(0);
    host.inspect(() => undefined);
    expect(subscribed).toBe(1);
  });

  it('keeps no actor that was stopped', () => {
    const host = createHost();
    let unsubscribed = 0;
    for (let index = 0; index < 3; index += 1) {
      const actor = host.start(lamp, 'lamp', undefined);
      const { system } = actor;
      const { inspect } = system;
      system.inspect = (observer) => {
        const subscription = inspect.call(system, observer);
        return {
          unsubscribe: () => {
            unsubscribed += 1;
            subscription.unsubscribe();
          },
        };
      };
      host.inspect(() => undefined);
      host.stop(actor);
    }
    expect(unsubscribed).toBe(3);
  });
});
