/**
 * The model of each chart. `troupe paths` and the tests walk the charts with these.
 */
import {
  commandMachine,
  connectionMachine,
  heartbeatMachine,
  housekeepingMachine,
  journalMachine,
  laneMachine,
  leaseMachine,
  recoveryMachine,
  serverMachine,
  sessionMachine,
  supervisionMachine,
  turnMachine,
} from '../../machines/index.ts';
import { modelOf } from './model.ts';
import type { MachineModel } from './model.ts';

const command = modelOf(commandMachine, {
  events: [
    { type: 'command.rejected' },
    { type: 'command.admitted' },
    { type: 'command.queued' },
    { type: 'command.postponed' },
    { type: 'dependencies.resolved' },
    { type: 'command.started' },
    { type: 'command.succeeded' },
    { type: 'command.failed' },
    { type: 'command.timedOut' },
    { type: 'command.cancelled' },
  ],
});

const connection = modelOf(connectionMachine, {
  events: [
    { type: 'server.ready' },
    { type: 'server.drained' },
    { type: 'queue.exceeded' },
    { type: 'queue.drained' },
    { type: 'queue.overrun' },
    { type: 'heartbeat.lost' },
    { type: 'transport.closed' },
  ],
});

/** Two figures: one that is known, and one that tells of a byte. */
const heartbeat = modelOf(heartbeatMachine, {
  inputs: [{ heartbeatIntervalMs: 30_000, heartbeatTimeoutMs: 10_000 }],
  events: [{ type: 'pong.received' }, { type: 'progress.read', progress: 0 }, { type: 'progress.read', progress: 1 }],
  project: ({ progress }) => ({ progress }),
});

/** Two failures: the back-off grows and decides nothing else. */
const housekeeping = modelOf(housekeepingMachine, {
  inputs: [{ backOffMs: 60_000, backOffMaxMs: 3_600_000 }],
  events: [
    { type: 'backup.due' },
    { type: 'backup.asked' },
    { type: 'compaction.due' },
    { type: 'compaction.asked' },
    { type: 'retention.due' },
    { type: 'retention.asked' },
    { type: 'task.succeeded' },
    { type: 'task.failed' },
  ],
  project: () => ({}),
});

const journal = modelOf(journalMachine, {
  events: [{ type: 'journal.opened' }, { type: 'journal.failed' }, { type: 'journal.closed' }],
});

/** One command fills the smallest lane, two leave no state in between unvisited, three leave room on both sides. */
const lane = modelOf(laneMachine, {
  inputs: [{ depthMax: 1 }, { depthMax: 2 }, { depthMax: 3 }],
  events: [
    { type: 'work.queued' },
    { type: 'work.started' },
    { type: 'work.finished' },
    { type: 'work.withdrawn' },
    { type: 'lane.paused' },
    { type: 'lane.resumed' },
  ],
});

/** One extension, and one too many: what is far from the cap is like what is one step from it. */
const lease = modelOf(leaseMachine, {
  inputs: [{ extensions: 0, extensionsMax: 1 }],
  events: [
    { type: 'expiry.announced' },
    { type: 'lease.extended', extensions: 1 },
    { type: 'lease.extended', extensions: 2 },
    { type: 'session.expired' },
  ],
});

/** How far the fold has come decides nothing; that it began is what tells positions apart. */
const recovery = modelOf(recoveryMachine, {
  events: [
    { type: 'journal.opened', entries: 3 },
    { type: 'journal.refused' },
    { type: 'page.folded', entries: 2 },
    { type: 'journal.folded' },
    { type: 'work.classified', commands: 1 },
    { type: 'classification.committed' },
  ],
  project: ({ folded, entries, classified }) => ({ begun: folded > 0, entries, classified }),
});

const server = modelOf(serverMachine, {
  events: [
    { type: 'recovery.completed' },
    { type: 'recovery.refused' },
    { type: 'drain.requested' },
    { type: 'work.drained' },
    { type: 'drain.expired' },
    { type: 'work.ended' },
    { type: 'journal.closed' },
    { type: 'journal.failed' },
    { type: 'core.failed' },
    { type: 'restarts.exhausted' },
  ],
});

const session = modelOf(sessionMachine, {
  inputs: [{ sessionId: 's-1', engine: 'echo', mailboxDepthMax: 3 }],
  events: [
    { type: 'engine.awaited' },
    { type: 'session.opened' },
    { type: 'opening.failed' },
    { type: 'work.accepted', commandId: 'c-1', deadlineAt: 1_000 },
    { type: 'work.drained' },
    { type: 'turn.started', commandId: 'c-1', attempt: 1 },
    { type: 'turn.settled' },
    { type: 'turn.interrupted' },
    { type: 'engine.released' },
    { type: 'expiry.announced', extensions: 0, extensionsMax: 4 },
    { type: 'lease.extended' },
    { type: 'session.expired' },
    { type: 'session.closed' },
  ],
});

/** The first child and a later one, at one time: how old a failure is decides by arithmetic, which has tests of its own. */
const supervision = modelOf(supervisionMachine, {
  inputs: [
    { strategy: 'oneForOne', restartsMax: 1, periodMs: 1_000 },
    { strategy: 'restForOne', restartsMax: 2, periodMs: 1_000, backOffMs: 100, backOffMaxMs: 5_000 },
  ],
  events: [
    { type: 'child.failed', child: 'first', index: 0, at: 0, isOutage: false },
    { type: 'child.failed', child: 'later', index: 2, at: 0, isOutage: false },
    { type: 'child.failed', child: 'first', index: 0, at: 0, isOutage: true },
    { type: 'children.started' },
    { type: 'supervisor.stopped' },
  ],
  project: ({ failures, from, child }) => {
    const counted = failures.filter(({ isOutage }) => !isOutage).length;
    return { counted, outages: failures.length > counted, from, child };
  },
});

const turn = modelOf(turnMachine, {
  inputs: [{ commandId: 'c-1', attempt: 1 }],
  events: [
    { type: 'engine.spoke' },
    { type: 'turn.completed' },
    { type: 'turn.failed' },
    { type: 'turn.interrupted' },
    { type: 'engine.released' },
  ],
});

/** The model of every chart of this package, by the name of the chart. */
export const models: Readonly<Record<string, MachineModel>> = {
  command,
  connection,
  heartbeat,
  housekeeping,
  journal,
  lane,
  lease,
  recovery,
  server,
  session,
  supervision,
  turn,
};
