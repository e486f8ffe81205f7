/**
 * What a boot found and did, with the base protocol's field names and ours beside them. Pure.
 */
import type { RecoveredCommand, RecoverySummary } from '../../actors/message.ts';
import type { JsonObject } from './session-info.ts';
import { timeText } from './session-info.ts';

const ITEMS_MAX = 100;
/** Of the journal's entries. */
const SCHEMA_VERSION = 1;

/** For `get_startup_recovery`. */
export function startupRecovery(recovery: RecoverySummary): JsonObject {
  return {
    enabled: true,
    initialized: true,
    initState: 'ready',
    journalPath: recovery.journal,
    schemaVersion: SCHEMA_VERSION,
    entriesScanned: recovery.entriesScanned,
    malformedEntries: 0,
    unsupportedVersionEntries: 0,
    recoveredOutcomes: recovery.recoveredOutcomes,
    recoveredOutcomeIds: [],
    recoveredOutcomeIdsTruncated: recovery.recoveredOutcomes > 0,
    recoveredInFlightFailures: recovery.classified.length,
    recoveredInFlight: recovery.classified.slice(0, ITEMS_MAX).map(recoveredCommand),
    recoveredInFlightTruncated: recovery.classified.length > ITEMS_MAX,
    maxItemsReturned: ITEMS_MAX,
    boot: recovery.boot,
    durable: recovery.durable,
    recoveredSessions: recovery.sessions,
    requeued: recovery.requeued,
    startedAt: timeText(recovery.startedAt),
    tookMs: recovery.tookMs,
  };
}

/** For `startup_recovery_summary`, which everybody gets: no path and no ids. */
export function startupRecoverySummary(recovery: RecoverySummary): JsonObject {
  return {
    ...startupRecovery(recovery),
    journalPath: '[redacted]',
    recoveredInFlight: [],
    recoveredInFlightTruncated: recovery.classified.length > 0,
  };
}

function recoveredCommand(command: RecoveredCommand): JsonObject {
  const { commandId, commandType, sessionId, lastPhase, errorCode, reason } = command;
  return {
    commandId,
    commandType,
    laneKey: sessionId === undefined ? 'server' : `session:${sessionId}`,
    lastPhase,
    errorCode,
    reason,
  };
}
