/**
 * The data class of every field of an entry, as data. What follows from a class:
 *
 * - `identity` names things and orders them, `operational` says what the server did and how it ended. Both stay as they are for
 *   as long as the entry is there.
 * - `content` is what people and engines said. It lies in the entry's `content` alone, is what redaction may change, and goes
 *   with retention and purge.
 * - `secret` is stored nowhere. No entry has a field for one.
 *
 * A field of an entry that is missing here does not compile; inside of `content`, what is not named is content. State: none.
 */
import type { Entry, EntryKind } from '../../actors/entry.ts';
import type { SessionView } from '../../actors/message.ts';
import type { DataClass } from '../protocol/data-class.ts';

/** Of a value: its class, or that of each field (those that are not named are content), or that of each item of a list. */
export type Shape = DataClass | { readonly [field: string]: Shape } | readonly [Shape];

type Meta<Kind extends EntryKind> = keyof Omit<Extract<Entry, { kind: Kind }>, 'content'>;
type Content<Kind extends EntryKind> = Extract<Entry, { kind: Kind }>['content'];

export type EntryClasses = {
  readonly [Kind in EntryKind]: {
    /** Outside of `content`: nothing of it is content. */
    readonly meta: { readonly [Field in Meta<Kind>]-?: Exclude<DataClass, 'content' | 'secret'> };
    readonly content: { readonly [Field in keyof Content<Kind>]-?: Shape };
  };
};

const head = {
  offset: 'identity',
  lane: 'identity',
  laneSeq: 'identity',
  at: 'operational',
  kind: 'identity',
  blanked: 'operational',
  redacted: 'operational',
} as const;

const command = {
  commandId: 'identity',
  commandType: 'operational',
  explicitId: 'identity',
  principal: 'identity',
  mailbox: 'operational',
  sessionId: 'identity',
  idempotencyKey: 'identity',
  keyScope: 'identity',
  traceparent: 'operational',
  dependsOn: 'identity',
  fingerprint: 'identity',
  passive: 'operational',
} as const;

const outcome = {
  success: 'operational',
  errorCode: 'operational',
  timedOut: 'operational',
  sessionVersion: 'operational',
  seq: 'identity',
} as const;

/** The text of a command: JSON, of which the envelope is named here. What else a client sends is content. */
export const commandShape = {
  type: 'operational',
  id: 'identity',
  sessionId: 'identity',
  dependsOn: 'identity',
  ifSessionVersion: 'operational',
  idempotencyKey: 'identity',
  respond: 'operational',
  ttl: 'operational',
} as const satisfies Shape;

const message = {
  role: 'operational',
  content: [{ type: 'operational', text: 'content' }],
  timestamp: 'operational',
  stopReason: 'operational',
} as const satisfies Shape;

export const eventShape = {
  type: 'operational',
  toolCallId: 'identity',
  toolName: 'operational',
  isError: 'operational',
  requestId: 'identity',
  state: 'operational',
  message,
  messages: [message],
  deadline: 'operational',
  remainingMs: 'operational',
  extensions: 'operational',
  extensionsMax: 'operational',
  final: 'operational',
  fields: { name: 'content', model: 'content', thinkingLevel: 'operational' },
} as const satisfies Shape;

const factShape = {
  type: 'operational',
  sessionId: 'identity',
  epoch: 'identity',
  owner: 'identity',
  engine: 'operational',
  machineVersion: 'operational',
  lease: {
    baseMs: 'operational',
    extensionMs: 'operational',
    extensionsMax: 'operational',
    thresholdMs: 'operational',
  },
  reason: 'operational',
  mode: 'operational',
  input: 'content',
  name: 'content',
  cwd: 'content',
  labels: 'content',
  message: 'content',
} as const satisfies Shape;

const sessionInfo = {
  sessionId: 'identity',
  createdAt: 'operational',
  thinkingLevel: 'operational',
} as const satisfies Shape;

const outcomeContent = {
  error: 'content',
  data: { sessionId: 'identity', sessionInfo },
  details: { reason: 'operational' },
  events: [eventShape],
  facts: [factShape],
} as const satisfies Shape;

/** A session's fold, as snapshots keep it. */
export const stateShape: { readonly [Field in keyof SessionView]-?: Shape } = {
  id: 'identity',
  epoch: 'identity',
  incarnation: 'identity',
  openedOffset: 'identity',
  owner: 'identity',
  engine: 'operational',
  input: 'content',
  cwd: 'content',
  labels: 'content',
  createdAt: 'operational',
  lastActivityAt: 'operational',
  name: 'content',
  model: 'content',
  thinkingLevel: 'operational',
  version: 'operational',
  seq: 'identity',
  turns: 'operational',
  messages: [message],
  steers: 'content',
  followUps: 'content',
  resume: 'content',
  turn: 'operational',
  lease: 'operational',
  closed: 'operational',
};

const none = {} as const;

export const entryClasses: EntryClasses = {
  'command.accepted': {
    meta: { ...head, ...command, deadlineAt: 'operational' },
    content: { command: commandShape },
  },
  'command.started': {
    meta: {
      ...head,
      commandId: 'identity',
      sessionId: 'identity',
      acceptedOffset: 'identity',
      attempt: 'operational',
    },
    content: { turn: 'content' },
  },
  'command.settled': {
    meta: { ...head, ...command, ...outcome },
    content: { ...outcomeContent, command: commandShape },
  },
  'command.finished': {
    meta: {
      ...head,
      ...outcome,
      commandId: 'identity',
      commandType: 'operational',
      sessionId: 'identity',
      acceptedOffset: 'identity',
      interrupted: 'operational',
      recovered: 'operational',
      passive: 'operational',
    },
    content: { ...outcomeContent, resume: 'content' },
  },
  'session.event': {
    meta: { ...head, sessionId: 'identity', commandId: 'identity', seq: 'identity', eventType: 'operational' },
    content: { event: eventShape },
  },
  'turn.released': {
    meta: { ...head, sessionId: 'identity', commandId: 'identity' },
    content: { resume: 'content' },
  },
  'lease.extended': {
    meta: { ...head, sessionId: 'identity', deadlineAt: 'operational', extensions: 'operational' },
    content: none,
  },
  'session.expired': {
    meta: { ...head, sessionId: 'identity', deadlineAt: 'operational' },
    content: none,
  },
  'server.started': {
    meta: { ...head, boot: 'identity', serverVersion: 'operational' },
    content: { cause: { child: 'operational', error: 'content' } },
  },
  'server.recovered': {
    meta: { ...head, boot: 'identity', classified: 'operational', requeued: 'operational' },
    content: none,
  },
  'server.stopped': { meta: { ...head, boot: 'identity' }, content: none },
  'journal.restored': { meta: { ...head, sessions: 'operational' }, content: { backup: 'operational' } },
  'housekeeping.finished': {
    meta: {
      ...head,
      task: 'operational',
      trigger: 'operational',
      ok: 'operational',
      startedAt: 'operational',
      tookMs: 'operational',
    },
    content: { result: 'operational', error: 'operational' },
  },
  'lane.compacted': {
    meta: {
      ...head,
      sessionId: 'identity',
      seq: 'identity',
      sessionVersion: 'operational',
      ended: 'identity',
      expired: 'operational',
    },
    content: { state: stateShape },
  },
  'session.restored': { meta: { ...head, sessionId: 'identity', epoch: 'identity' }, content: none },
  'session.purged': { meta: { ...head, sessionId: 'identity' }, content: none },
  'read.audited': {
    meta: {
      ...head,
      commandId: 'identity',
      commandType: 'operational',
      explicitId: 'identity',
      principal: 'identity',
      sessionId: 'identity',
    },
    content: none,
  },
};
