import { describe, expect, it } from 'vitest';
import type { RecoveredCommand } from '../../actors/message.ts';
import { getStartupRecovery, healthCheck, ping } from '../../src/commands/server.ts';
import { startupRecovery, startupRecoverySummary } from '../../src/commands/startup-recovery.ts';
import { subscribe, unsubscribe } from '../../src/commands/subscription.ts';
import { decide, recovery, serverView } from './views.ts';

const unused = undefined;

describe('ping', () => {
  it("answers with the server's time", () => {
    expect(decide(ping)).toMatchObject({ outcome: { success: true, data: { time: '2026-01-02T03:04:10.006Z' } } });
  });
});

describe('health_check', () => {
  it('is healthy without issues', () => {
    expect(decide(healthCheck)).toEqual({
      do: 'settle',
      outcome: {
        success: true,
        data: { healthy: true, issues: [], hasOpenCircuit: false, hasOpenBashCircuit: false },
      },
    });
  });

  it('is not with any, and names them', () => {
    const server = serverView({ issues: ['The journal cannot be written.'] });
    expect(decide(healthCheck, {}, unused, server)).toMatchObject({
      outcome: { data: { healthy: false, issues: ['The journal cannot be written.'] } },
    });
  });
});

describe('get_startup_recovery', () => {
  const classified = Array.from({ length: 101 }, (_, n): RecoveredCommand => ({
    commandId: `c${n}`,
    commandType: 'prompt',
    ...(n === 0 ? {} : { sessionId: 's.1' }),
    lastPhase: 'started',
    errorCode: 'INTERRUPTED',
    reason: 'restart',
  }));

  it("says what the boot did, with the base's names and ours", () => {
    expect(decide(getStartupRecovery)).toEqual({
      do: 'settle',
      outcome: {
        success: true,
        data: {
          enabled: true,
          initialized: true,
          initState: 'ready',
          journalPath: '/data/troupe.db',
          schemaVersion: 1,
          entriesScanned: 12,
          malformedEntries: 0,
          unsupportedVersionEntries: 0,
          recoveredOutcomes: 5,
          recoveredOutcomeIds: [],
          recoveredOutcomeIdsTruncated: true,
          recoveredInFlightFailures: 0,
          recoveredInFlight: [],
          recoveredInFlightTruncated: false,
          maxItemsReturned: 100,
          boot: 2,
          durable: true,
          recoveredSessions: 1,
          requeued: 0,
          startedAt: '2026-01-02T03:04:05.006Z',
          tookMs: 8,
        },
      },
    });
  });

  it('counts all that it classified and lists a hundred', () => {
    const data = startupRecovery({ ...recovery, classified });
    expect(data).toMatchObject({ recoveredInFlightFailures: 101, recoveredInFlightTruncated: true });
    expect(data['recoveredInFlight']).toHaveLength(100);
    const base = { commandType: 'prompt', lastPhase: 'started', errorCode: 'INTERRUPTED', reason: 'restart' };
    expect((data['recoveredInFlight'] as unknown[]).slice(0, 2)).toEqual([
      { commandId: 'c0', laneKey: 'server', ...base },
      { commandId: 'c1', laneKey: 'session:s.1', ...base },
    ]);
  });

  it('names neither paths nor commands to everybody', () => {
    const summary = startupRecoverySummary({ ...recovery, classified });
    expect(summary).toEqual({
      ...startupRecovery({ ...recovery, classified }),
      journalPath: '[redacted]',
      recoveredInFlight: [],
    });
    expect(summary).toMatchObject({ recoveredInFlightFailures: 101, recoveredInFlightTruncated: true });
    expect(startupRecoverySummary(recovery)).toMatchObject({ recoveredInFlightTruncated: false });
  });
});

describe('subscribe', () => {
  it('tells the connection its topics, once each, visible by default', () => {
    expect(decide(subscribe, { topics: ['lifecycle', 'sessions', 'lifecycle'] })).toEqual({
      do: 'settle',
      outcome: { success: true, data: { topics: ['lifecycle', 'sessions'] } },
      effects: [{ type: 'subscribe', topics: ['lifecycle', 'sessions'], scope: 'visible' }],
      unchanged: true,
    });
    expect(decide(subscribe, { topics: ['lifecycle'], scope: 'own' })).toMatchObject({
      effects: [{ type: 'subscribe', topics: ['lifecycle'], scope: 'own' }],
    });
  });

  it.each([
    ['subscribe', subscribe],
    ['unsubscribe', unsubscribe],
  ])('and unsubscribe: %s refuses topics that this server does not have, and changes nothing', (_type, command) => {
    const decision = decide(command, { topics: ['lifecycle', 'metrics', 'alerts'] });
    expect(decision).toEqual({
      do: 'settle',
      outcome: {
        success: false,
        errorCode: 'UNSUPPORTED',
        error: "This server has no topic 'metrics', 'alerts'; it has lifecycle, sessions",
      },
    });
  });
});

describe('unsubscribe', () => {
  it('takes topics away from the connection', () => {
    expect(decide(unsubscribe, { topics: ['sessions'] })).toEqual({
      do: 'settle',
      outcome: { success: true, data: { topics: ['sessions'] } },
      effects: [{ type: 'unsubscribe', topics: ['sessions'] }],
      unchanged: true,
    });
  });
});
