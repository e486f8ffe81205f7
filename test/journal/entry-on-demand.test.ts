/** An entry that is read on demand says what the whole entry says, and damage in what is asked for is never another value. */
import fc from 'fast-check';
import { describe, expect, it, vi } from 'vitest';
import type { EntryDraft } from '../../actors/entry.ts';
import { decode, encode } from '../../src/journal/entry.ts';
import type { EntryRecord } from '../../src/journal/entry.ts';
import { onDemand } from '../../src/journal/entry-on-demand.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { eventfulEntries } from '../support/eventful-run.ts';
import { arbitraryDraft } from './arbitrary-entry.ts';

/** Every name that an entry on demand answers to. */
const FIELDS = [
  ...['offset', 'lane', 'laneSeq', 'at', 'kind', 'content', 'blanked'],
  ...Object.getOwnPropertyNames(Object.getPrototypeOf(read({ ...settledRecord(), kind: 'turn.released' }))),
].filter((name) => !['constructor', 'meta'].includes(name));

class Damage extends Error {}

function read(record: EntryRecord): Readonly<Record<string, unknown>> {
  return onDemand(record, (_, error) => new Damage(String(error))) as unknown as Readonly<Record<string, unknown>>;
}

function settledRecord(): EntryRecord {
  return encode(new EntrySource().batch(1, 'session:a')[0]!);
}

const placed = (draft: EntryDraft): EntryRecord =>
  encode({ ...draft, offset: 7, lane: 'session:a', laneSeq: 3, at: 1_000 });

function fieldsOf(entry: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(FIELDS.map((name) => [name, entry[name]]));
}

function expectSame(record: EntryRecord): void {
  const whole = decode(record) as unknown as Readonly<Record<string, unknown>>;
  for (const name of Object.keys(whole)) expect(FIELDS).toContain(name);
  expect(fieldsOf(read(record))).toEqual(fieldsOf(whole));
}

/** Texts as most are: nothing in them is escaped. */
const plain = fc.stringMatching(/^[a-z{}:,0-9 ]{0,12}$/);
const count = fc.oneof(fc.nat(), fc.maxSafeNat(), fc.constant(0));
const head = { commandId: plain, commandType: plain, explicitId: fc.boolean(), principal: plain };
const mailbox = fc.constantFrom('work', 'control', 'read');
const maybe = { sessionId: plain, idempotencyKey: plain, keyScope: plain, traceparent: plain };
const yes = fc.constant(true as const);
const change = fc
  .record({ name: fc.constantFrom('name', 'model', '__proto__'), text: fc.string() })
  .map(({ name, text }) => ({
    type: 'session_changed',
    fields: JSON.parse(JSON.stringify({ [name]: text })) as object,
  }));

const settledContent = fc.record(
  {
    command: fc.constantFrom('{}', '{"a":"ü"}', '{"events":[],"facts":[]}'),
    error: plain,
    events: fc.array(fc.oneof(change, fc.jsonValue({ maxDepth: 2 })), { maxLength: 2 }),
    facts: fc.array(fc.jsonValue({ maxDepth: 2 }), { maxLength: 2 }),
  },
  { requiredKeys: ['command'] },
);

const record = (kind: string, fields: Record<string, fc.Arbitrary<unknown>>, required: string[], content: unknown) =>
  fc
    .record(fields, { requiredKeys: required })
    .map((meta) => ({ kind, ...meta, content: content as object }) as unknown as EntryDraft);

/** In the order in which they are written. */
const usual = fc.oneof(
  settledContent.chain((content) =>
    record(
      'command.settled',
      {
        ...{ ...head, mailbox, ...maybe, passive: yes, success: fc.boolean(), errorCode: plain, timedOut: yes },
        ...{ sessionVersion: count, dependsOn: fc.array(plain, { maxLength: 2 }), seq: count, redacted: yes },
        fingerprint: plain,
      },
      [...Object.keys(head), 'mailbox', 'success'],
      content,
    ),
  ),
  record(
    'command.accepted',
    { ...head, mailbox, ...maybe, passive: yes, deadlineAt: count, redacted: yes, fingerprint: plain },
    [...Object.keys(head), 'mailbox'],
    { command: '{}' },
  ),
  record(
    'command.started',
    { commandId: plain, sessionId: plain, acceptedOffset: count, attempt: count, redacted: yes },
    ['commandId', 'acceptedOffset', 'attempt'],
    { turn: { message: 'x' } },
  ),
  record(
    'command.finished',
    {
      ...{ commandId: plain, commandType: plain, acceptedOffset: count, sessionId: plain, interrupted: yes },
      ...{ recovered: plain, passive: yes, success: fc.boolean(), errorCode: plain, timedOut: yes },
      ...{ sessionVersion: count, seq: count, redacted: yes },
    },
    ['commandId', 'commandType', 'acceptedOffset', 'success'],
    {},
  ),
  record(
    'session.event',
    {
      ...{ sessionId: plain, commandId: plain, seq: count, redacted: yes },
      eventType: fc.constantFrom('agent_start', 'message_end', 'a b', ''),
    },
    ['sessionId', 'seq', 'eventType'],
    { event: { type: 'message_end', message: null } },
  ),
);

describe('an entry that is read on demand', () => {
  it('says of every field what the whole entry says', () => {
    fc.assert(
      fc.property(arbitraryDraft, (draft) => expectSame(placed(draft))),
      { numRuns: 500 },
    );
    fc.assert(
      fc.property(usual, (draft) => expectSame(placed(draft))),
      { numRuns: 2_000 },
    );
  });

  it('says the same of what a server wrote, also when it was blanked', async () => {
    for (const entry of await eventfulEntries()) {
      expectSame(encode(entry));
      expectSame({ ...encode(entry), digest: '00' });
    }
  });

  it('is never another one when its text is damaged', () => {
    let unreadable = 0;
    const letter = fc.constantFrom('"', '\\', ',', ':', '{', '}', '0', '-', 'e', 'x', '\n', '\0');
    fc.assert(
      fc.property(usual, fc.boolean(), fc.nat(), fc.nat(2), letter, (draft, inMeta, at, taken, put) => {
        const whole = placed(draft);
        const part = inMeta ? whole.meta : whole.content;
        const place = at % part.length;
        const changed = part.slice(0, place) + put + part.slice(place + taken);
        const damaged = { ...whole, [inMeta ? 'meta' : 'content']: changed };
        try {
          decode(damaged);
        } catch {
          unreadable += 1;
          expect(() => fieldsOf(read(damaged))).toThrow(Damage);
          return;
        }
        // A damaged name may be one that no entry has.
        const told = decode(damaged) as unknown as Readonly<Record<string, unknown>>;
        expect(fieldsOf(read(damaged))).toEqual(fieldsOf(told));
      }),
      { numRuns: 3_000 },
    );
    expect(unreadable).toBeGreaterThan(500);
  });

  it('is not parsed for what a fold asks of most entries', async () => {
    const asked: Readonly<Record<string, readonly string[]>> = {
      'command.settled': ['success', 'passive', 'seq', 'sessionVersion', 'redacted'],
      'command.accepted': ['commandId', 'mailbox', 'passive', 'deadlineAt', 'redacted'],
      'command.started': ['commandId', 'acceptedOffset', 'attempt', 'redacted'],
      'command.finished': ['acceptedOffset', 'success', 'interrupted', 'sessionVersion', 'seq', 'redacted'],
      'session.event': ['seq', 'eventType', 'redacted'],
    };
    const entries = (await eventfulEntries()).filter(({ kind, lane }) => kind in asked && lane === 'session:s');
    const records = entries.filter((entry) => !('dependsOn' in entry)).map(encode);
    const parse = vi.spyOn(JSON, 'parse');
    for (const one of records) for (const name of asked[one.kind]!) void read(one)[name];
    const parsed = parse.mock.calls.length;
    parse.mockRestore();
    expect(new Set(records.map(({ kind }) => kind)).size).toBe(5);
    expect(parsed).toBe(0);
  });

  it('of a form that is newer is refused at once', () => {
    expect(() => read({ ...settledRecord(), version: 9 })).toThrow(Damage);
  });
});
