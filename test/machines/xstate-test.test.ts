/**
 * The charts under `createTestModel` of @xstate/test 1.0.0-beta.5, beside the kit that we use (docs/adr/0003).
 *
 * It was written for XState 5.5: it has no executor for actions and passes no input. The view gives it both, and it is shown
 * no longer necessary when the last test here fails.
 */
import { createTestModel } from '@xstate/test';
import { createActor } from 'xstate';
import type { ActorScope, AnyEventObject, AnyMachineSnapshot, AnyStateMachine } from 'xstate';
import { describe, expect, it } from 'vitest';
import { stateNodes } from '../../src/testing/chart.ts';
import type { MachineModel } from '../../src/testing/model.ts';
import { models } from '../../src/testing/models.ts';
import { positionOf } from '../../src/testing/play.ts';
import { recordingOf } from '../../src/testing/recorder.ts';

type Scope = ActorScope<AnyMachineSnapshot, AnyEventObject>;

/** The machine itself, but for what beta.5 does not give it. */
function viewOf(machine: AnyStateMachine, input: unknown): AnyStateMachine {
  const whole = (scope: Scope): Scope => ({ ...scope, actionExecutor: () => undefined });
  return Object.create(machine, {
    transition: {
      value: (snapshot: AnyMachineSnapshot, event: AnyEventObject, scope: Scope) =>
        machine.transition(snapshot, event, whole(scope)),
    },
    getInitialSnapshot: { value: (scope: Scope) => machine.getInitialSnapshot(whole(scope), input) },
  }) as AnyStateMachine;
}

const testModelOf = (model: MachineModel, machine: AnyStateMachine) =>
  createTestModel(machine, {
    events: [...model.events],
    serializeState: (snapshot) => JSON.stringify(positionOf(snapshot, model.project)),
    stopCondition: (snapshot: AnyMachineSnapshot) => snapshot.status !== 'active',
  });

const waitsForNothing = ({ machine }: MachineModel): boolean =>
  stateNodes(machine).every(({ after, invoke }) => after.length === 0 && invoke.length === 0);

const suitable = Object.entries(models).filter(([, model]) => waitsForNothing(model));

describe.each(suitable)('createTestModel, with the %s chart', (_, model) => {
  it.each(model.inputs.map((input) => [input === undefined ? 'the start' : JSON.stringify(input), input] as const))(
    'runs paths to every state from %s',
    (_text, input) => {
      const recorded = recordingOf(model.machine).machine;
      const paths = testModelOf(model, viewOf(model.machine, input)).getShortestPaths();
      const visited = new Set<string>();
      for (const path of paths) {
        const actor = createActor(recorded, { input }).start();
        const visit = (expected: AnyMachineSnapshot): void => {
          const found = positionOf(actor.getSnapshot() as AnyMachineSnapshot, model.project);
          expect(found, path.description).toEqual(positionOf(expected, model.project));
          for (const node of expected._nodes as { id: string }[]) visited.add(node.id);
        };
        const types = [...new Set(model.events.map(({ type }) => type))];
        path.testSync({
          states: { '*': (expected) => visit(expected as AnyMachineSnapshot) },
          events: Object.fromEntries(types.map((type) => [type, ({ event }) => actor.send(event)])),
        });
        actor.stop();
      }
      // A lane for one command is never between empty and full.
      const skipped = JSON.stringify(input) === '{"depthMax":1}' ? 1 : 0;
      expect(visited.size).toBe(stateNodes(model.machine).length - skipped);
    },
  );
});

describe('@xstate/test 1.0.0-beta.5', () => {
  it('runs all our charts but those that wait by themselves', () => {
    expect(suitable.length).toBeGreaterThan(0);
    expect(Object.values(models).filter((model) => !waitsForNothing(model))).toEqual([
      models['heartbeat'],
      models['housekeeping'],
      models['supervision'],
    ]);
  });

  it('still needs the view: without it no action has an executor, and a chart with input fails before its first state', () => {
    const { turn, connection } = models;
    const executor = 'originalExecutor is not a function';
    expect(() => testModelOf(connection!, connection!.machine).getShortestPaths()).toThrow(executor);
    const [only, ...others] = testModelOf(turn!, turn!.machine).getShortestPaths();
    expect(others).toEqual([]);
    expect(only!.state).toMatchObject({ status: 'error', error: expect.any(TypeError) as Error });
  });
});
