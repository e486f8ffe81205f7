/**
 * What the server counts: get_metrics.
 *
 * The base protocol's names stand where this server has the thing that they name; `live`, `commands` and `journal` are ours.
 * Everything is counted from the start of the process, but for what is in memory now.
 */
import type { ActivityCounts, HousekeepingRun, ServerView } from '../../actors/message.ts';
import { envelopes } from '../protocol/envelope.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import { answer, serverCommand } from './command.ts';
import type { JsonObject } from './session-info.ts';
import { timeText } from './session-info.ts';

export const getMetrics = serverCommand({
  type: 'get_metrics',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.server,
  decide: (_frame, server) => answer(metrics(server)),
});

function metrics(server: ServerView): JsonObject {
  const { activity, journal, live, recovery } = server;
  const executed = activity.succeeded + total(activity.failed);
  const inFlight = activity.admitted + activity.requeued - executed;
  return {
    sessionCount: live.sessions + live.passive,
    connectionCount: live.connections,
    totalCommandsExecuted: executed,
    commandsRejected: {
      sessionLimit: ofCode(activity, 'SESSION_LIMIT'),
      messageSize: ofCode(activity, 'FRAME_TOO_LARGE'),
      rateLimit: ofCode(activity, 'RATE_LIMITED'),
      connectionLimit: activity.connectionsRefused,
    },
    stores: {
      replay: {
        inFlightCount: inFlight,
        outcomeCount: live.known,
        inFlightRejections: ofCode(activity, 'TOO_MANY_PENDING'),
      },
      version: { sessionCount: live.sessions + live.passive },
      execution: { laneCount: live.mailboxes },
      journal: {
        enabled: true,
        initialized: true,
        journalPath: recovery.journal,
        entriesWritten: journal.entries,
        entriesScanned: recovery.entriesScanned,
        recoveredOutcomes: recovery.recoveredOutcomes,
        recoveredInFlightFailures: recovery.classified.length,
      },
    },
    circuitBreakers: [],
    startedAt: timeText(recovery.startedAt),
    uptimeMs: server.now - recovery.startedAt,
    boot: recovery.boot,
    live: { ...live },
    commands: {
      admitted: activity.admitted,
      requeued: activity.requeued,
      inFlight,
      succeeded: activity.succeeded,
      failed: byCode(activity.failed),
      replayed: activity.replayed,
      refused: byCode(activity.refused),
    },
    supervision: {
      restarts: activity.restarts,
    },
    snapshots: { ...activity.snapshots },
    checkpoints: { ...activity.checkpoints },
    journal: { ...journal },
    housekeeping: server.housekeeping.map(runText),
  };
}

function runText({ startedAt, ...run }: HousekeepingRun): JsonObject {
  return { ...run, startedAt: timeText(startedAt) };
}

/** A limit may be found before admission or at the head of a lane. */
function ofCode({ failed, refused }: ActivityCounts, code: ErrorCode): number {
  return (failed.get(code) ?? 0) + (refused.get(code) ?? 0);
}

function total(counts: ReadonlyMap<string, number>): number {
  let sum = 0;
  for (const count of counts.values()) sum += count;
  return sum;
}

function byCode(counts: ReadonlyMap<string, number>): JsonObject {
  return Object.fromEntries([...counts].sort(([a], [b]) => (a < b ? -1 : 1)));
}
