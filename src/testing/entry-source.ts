/**
 * Entries with their places, as the runtime's writer gives them: for tests of journals, which need many entries and do not
 * care what they are about. State: volatile.
 */
import type { Entry, EntryDraft, EntryKind } from '../../actors/entry.ts';

export class EntrySource {
  readonly #lanes = new Map<string, number>();
  #offset = 0;

  /** Goes on behind `stored`, from the beginning if there is none. */
  constructor(stored: Iterable<Entry> = []) {
    for (const { offset, lane, laneSeq } of stored) {
      this.#offset = offset;
      this.#lanes.set(lane, laneSeq);
    }
  }

  next(lane: string, draft: EntryDraft = renamed(`c-${this.#offset + 1}`)): Entry {
    const laneSeq = (this.#lanes.get(lane) ?? 0) + 1;
    this.#lanes.set(lane, laneSeq);
    this.#offset += 1;
    return { offset: this.#offset, lane, laneSeq, at: 1_770_000_000_000 + this.#offset, ...draft };
  }

  /** `count` entries, of the given lanes in turn. */
  batch(count: number, ...lanes: readonly string[]): Entry[] {
    return Array.from({ length: count }, (_, index) => this.next(lanes[index % lanes.length] ?? 'server'));
  }
}

/** An instant command as the runtime records it. */
export function renamed(commandId: string): EntryDraft {
  const name = `the name that ${commandId} gave`;
  return {
    kind: 'command.settled',
    commandId,
    commandType: 'set_session_name',
    explicitId: true,
    principal: 'local',
    mailbox: 'work',
    sessionId: 's1',
    success: true,
    sessionVersion: 1,
    seq: 1,
    content: {
      command: `{ "id":"${commandId}", "type":"set_session_name","sessionId":"s1","name":"${name}" }`,
      events: [{ type: 'session_changed', fields: { name } }],
    },
  };
}

const identity = {
  commandId: 'c-1',
  commandType: 'prompt',
  explicitId: true,
  principal: 'local',
  mailbox: 'work',
  sessionId: 's1',
} as const;

/** One entry of every kind, every field filled in. */
export const oneOfEach: { readonly [Kind in EntryKind]: Extract<EntryDraft, { kind: Kind }> } = {
  'command.accepted': {
    ...identity,
    kind: 'command.accepted',
    idempotencyKey: 'key "1"',
    keyScope: 'epoch-1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    dependsOn: ['c-0'],
    deadlineAt: 1_770_000_030_000,
    content: { command: '\n{"type" : "prompt",\t"message":"\\ud83d grüß 😀 \\u0000"} ' },
  },
  'command.started': {
    kind: 'command.started',
    commandId: 'c-1',
    sessionId: 's1',
    acceptedOffset: 1,
    attempt: 2,
    content: { turn: { message: 'hello', images: [] } },
  },
  'command.settled': {
    ...identity,
    kind: 'command.settled',
    idempotencyKey: 'key\n2',
    keyScope: 'epoch-1',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    passive: true,
    dependsOn: ['c-0', 'ż'],
    success: false,
    errorCode: 'COMMAND_TIMEOUT',
    timedOut: true,
    sessionVersion: 7,
    seq: 9,
    redacted: true,
    fingerprint: 'f'.repeat(64),
    content: {
      command: '{"type":"x"}',
      error: 'too late',
      data: null,
      details: { waitedMs: 30_000 },
      events: [{ type: 'session_changed', fields: { name: 'ż' } }],
      facts: [{ type: 'queue.cleared' }],
    },
  },
  'command.finished': {
    kind: 'command.finished',
    commandId: 'c-1',
    commandType: 'prompt',
    sessionId: 's1',
    acceptedOffset: 1,
    seq: 12,
    interrupted: true,
    recovered: 'the server stopped in the middle',
    success: false,
    errorCode: 'INTERRUPTED',
    content: { error: 'interrupted', resume: { file: '/tmp/x', leaf: 'a' } },
  },
  'session.event': {
    kind: 'session.event',
    sessionId: 's1',
    commandId: 'c-1',
    seq: 3,
    eventType: 'message_end',
    content: {
      event: { type: 'message_end', message: { role: 'user', content: [{ type: 'text', text: '\u2028 "' }] } },
    },
  },
  'turn.released': { kind: 'turn.released', sessionId: 's1', commandId: 'c-1', content: { resume: [1, 2.5, -3e-7] } },
  'lease.extended': {
    kind: 'lease.extended',
    sessionId: 's1',
    deadlineAt: 1_770_000_000_000,
    extensions: 1,
    content: {},
  },
  'session.expired': { kind: 'session.expired', sessionId: 's1', deadlineAt: 1_770_000_000_000, content: {} },
  'server.started': { kind: 'server.started', boot: 1, serverVersion: '0.1.0', content: {} },
  'server.recovered': { kind: 'server.recovered', boot: 1, classified: 2, requeued: 3, content: {} },
  'server.stopped': { kind: 'server.stopped', boot: 1, content: {} },
  'journal.restored': { kind: 'journal.restored', sessions: 1, content: { backup: 'troupe "1".db' } },
  'housekeeping.finished': {
    kind: 'housekeeping.finished',
    task: 'backup',
    trigger: 'command',
    ok: false,
    startedAt: 1_770_000_000_000,
    tookMs: 12,
    content: { error: 'no room' },
  },
  'lane.compacted': {
    kind: 'lane.compacted',
    sessionId: 's1',
    seq: 7,
    sessionVersion: 3,
    ended: [2, 5],
    content: {},
  },
  'session.restored': { kind: 'session.restored', sessionId: 's1', epoch: 'epoch-2', content: {} },
  'session.purged': { kind: 'session.purged', sessionId: 's1', content: {} },
  'read.audited': {
    kind: 'read.audited',
    commandId: 'c-1',
    commandType: 'get_messages',
    explicitId: true,
    principal: 'local',
    sessionId: 's1',
    content: {},
  },
};
