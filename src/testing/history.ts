/**
 * Holds a recorded history against a chart: what really happened must be something that the chart allows.
 *
 * XState ignores an event that a state does not take, so a history that the chart contradicts would pass in silence. Here
 * the first such event is an error, and its sentence says where the chart stood.
 */
import { createActor } from 'xstate';
import type { AnyStateMachine, EventFromLogic, InputFrom, SnapshotFrom } from 'xstate';
import { activeStates } from './chart.ts';
import { recordingOf } from './recorder.ts';

/**
 * Plays `events` from the start of `machine` and returns the snapshot they lead to, so that the caller can ask whether it is
 * final.
 *
 * @throws Error naming the first event that the chart does not take.
 */
export function playHistory<Machine extends AnyStateMachine>(
  machine: Machine,
  events: readonly EventFromLogic<Machine>[],
  input?: InputFrom<Machine>,
): SnapshotFrom<Machine> {
  const failures: unknown[] = [];
  const { machine: recorded, take } = recordingOf<AnyStateMachine>(machine);
  const actor = createActor(recorded, { input });
  actor.subscribe({ error: (error) => failures.push(error) });
  actor.start();
  events.forEach((event, index) => {
    const snapshot = actor.getSnapshot();
    const taken = snapshot.status === 'active' && snapshot.can(event);
    if (taken) actor.send(event);
    if (taken && failures.length === 0) return;
    const earlier = events.slice(Math.max(0, index - 3), index).map(({ type }) => type);
    const before = earlier.length === 0 ? 'at its start' : `after ${index > 3 ? '... ' : ''}${earlier.join(', ')}`;
    const where = `'${activeStates(snapshot).join(' + ')}' with ${JSON.stringify(snapshot.context)}`;
    throw new Error(
      `The chart '${machine.id}' does not take event ${index + 1} of ${events.length}, ` +
        `${JSON.stringify(event)}: ${before} it is in ${where}.`,
      failures.length > 0 ? { cause: failures[0] } : {},
    );
  });
  const last = actor.getSnapshot() as SnapshotFrom<Machine>;
  actor.stop();
  take();
  return last;
}
