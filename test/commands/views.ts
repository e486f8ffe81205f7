/**
 * What handlers look at, made up: a session and a server with the given differences, and a way to hand a frame to a command.
 */
import { summaryOf } from '../../actors/session-record.ts';
import type {
  ActivityCounts,
  CommandFrame,
  Decision,
  LiveCounts,
  RecoverySummary,
  RunningTurn,
  ServerView,
  SessionView,
} from '../../actors/message.ts';
import type { Command } from '../../src/commands/command.ts';

export const createdAt = Date.UTC(2026, 0, 2, 3, 4, 5, 6);

export function sessionView(differences: Partial<SessionView> = {}): SessionView {
  return {
    id: 's1',
    epoch: 'e1',
    incarnation: 'e1',
    openedOffset: 2,
    owner: 'local',
    engine: 'echo',
    input: null,
    cwd: null,
    labels: null,
    createdAt,
    lastActivityAt: createdAt + 1000,
    name: null,
    model: null,
    thinkingLevel: 'off',
    version: 3,
    seq: 7,
    turns: 1,
    messages: [],
    steers: [],
    followUps: [],
    resume: null,
    turn: null,
    lease: {
      policy: { baseMs: 86_400_000, extensionMs: 21_600_000, extensionsMax: 4, thresholdMs: 3_600_000 },
      deadlineAt: createdAt + 86_400_000,
      extensions: 0,
      extendedAt: null,
      announced: false,
      inherited: false,
    },
    closed: null,
    ...differences,
  };
}

export const recovery: RecoverySummary = {
  boot: 2,
  journal: '/data/troupe.db',
  durable: true,
  entriesScanned: 12,
  sessions: 1,
  recoveredOutcomes: 5,
  classified: [],
  requeued: 0,
  startedAt: createdAt,
  tookMs: 8,
};

interface ServerDifferences {
  readonly sessions?: readonly SessionView[];
  readonly issues?: readonly string[];
  readonly recovery?: RecoverySummary;
  readonly turn?: RunningTurn;
  readonly activity?: Partial<ActivityCounts>;
  readonly live?: Partial<LiveCounts>;
}

export function serverView(differences: ServerDifferences = {}): ServerView {
  const { sessions = [], issues = [], turn } = differences;
  return {
    now: createdAt + 5000,
    serverVersion: '0.0.0',
    sessionCount: sessions.length,
    session: (id) => sessions.find((session) => session.id === id),
    picture: () => undefined,
    pictureAt: () => Promise.resolve({ missing: 'session' }),
    sessions: (from) => {
      const at = sessions.findIndex(({ id }) => id === from);
      return sessions.slice(Math.max(0, at)).map(summaryOf);
    },
    quarantined: () => [],
    runningTurn: () => turn,
    recovery: differences.recovery ?? recovery,
    issues,
    housekeeping: [],
    compact: async () => ({ success: true, data: null }),
    applyRetention: async () => ({ success: true, data: null }),
    backUp: async () => ({ success: true }),
    purge: async () => ({ success: true }),
    live: {
      sessions: sessions.length,
      passive: 0,
      mailboxes: sessions.length,
      actors: 2,
      children: 0,
      timers: 0,
      leases: sessions.length,
      connections: 1,
      viewers: 0,
      catchUps: 0,
      held: 0,
      known: 0,
      lanes: 1,
      ...differences.live,
    },
    activity: {
      admitted: 0,
      requeued: 0,
      succeeded: 0,
      failed: new Map(),
      replayed: 0,
      refused: new Map(),
      connectionsRefused: 0,
      restarts: 0,
      snapshots: { kept: 0, failed: 0, unfit: 0 },
      checkpoints: { kept: 0, failed: 0, unfit: 0 },
      ...differences.activity,
    },
    journal: { offset: 14, entries: 2, batches: 1, durable: 1, writable: true },
    engineCapabilities: (kind) => [`of-${kind}`],
  };
}

/** Asks a command as the runtime does at the head of its lane. */
export function decide(
  command: Command,
  fields: Omit<CommandFrame, 'type'> = {},
  session: SessionView = sessionView(),
  server: ServerView = serverView(),
): Decision {
  const frame: CommandFrame = { ...fields, type: command.type };
  if (command.target === 'server') return command.decide(frame, server);
  return command.decide(frame, command.target === 'opens' ? undefined : session, server);
}
