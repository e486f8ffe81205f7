/** Entries of every kind and with everything in them that JSON and UTF-16 allow, for property tests. */
import fc from 'fast-check';
import type { EntryDraft, EntryKind } from '../../actors/entry.ts';
import type { Json } from '../../actors/message.ts';
import { settledFields } from '../../src/journal/entry.ts';

/** Any text, lone surrogates and control characters included, and often what JSON has to escape. */
const text = fc
  .array(fc.constantFrom('a', '"', '\\', '\n', '\0', 'ż', '\u2028', '\ud83d', '\ude00'), { maxLength: 6 })
  .map(join);

function join(pieces: readonly string[]): string {
  return pieces.join('');
}

/**
 * `-0` is left out: in JSON it is 0. No key is a backslash alone: V8 of Node 24 expects the keys of an object that it has parsed
 * before, and takes the backslash that begins an escape for that key. After `{"":1,"\\\\":2}` it reads `{"":1,"\\u0001":2}` with a
 * backslash as its second key.
 */
const key = text.filter((name) => name !== '\\');
const json = fc
  .jsonValue({ maxDepth: 2 })
  .map((value) => JSON.parse(JSON.stringify(value)) as Json)
  .filter((value) => !JSON.stringify(value).includes('"\\\\":'));
const object = fc.dictionary(key, json, { maxKeys: 4 });
const count = fc.nat();

/** A command as received: JSON with white space, escapes and duplicate keys as the client liked them. */
const command = fc
  .record({ value: object, indent: fc.constantFrom('', ' ', '\t', '\r\n '), around: fc.constantFrom('', ' ', '\n\t ') })
  .map(({ value, indent, around }) => `${around}${JSON.stringify(value, null, indent)}${around}`)
  .chain((written) =>
    fc.constantFrom(written, written.replace('{', '{ "id":1,"id":2, "\ud800":3 ,').replace(/,\s*}/, '}')),
  );

const events = fc.array(
  object.map((fields) => ({ ...fields, type: 'session_changed' })),
  { maxLength: 3 },
);

const fields: Readonly<Record<string, fc.Arbitrary<unknown>>> = {
  commandId: text,
  commandType: text,
  explicitId: fc.boolean(),
  principal: text,
  mailbox: fc.constantFrom('work', 'control', 'read'),
  sessionId: text,
  idempotencyKey: text,
  keyScope: text,
  traceparent: text,
  passive: fc.constant(true),
  success: fc.boolean(),
  errorCode: text,
  timedOut: fc.constant(true),
  sessionVersion: count,
  dependsOn: fc.array(text, { maxLength: 3 }),
  seq: count,
  redacted: fc.constant(true),
  fingerprint: text,
  command,
  error: text,
  data: json,
  details: json,
  events,
  facts: events,
};

const REQUIRED = ['commandId', 'commandType', 'explicitId', 'principal', 'mailbox', 'success', 'command'] as const;

function recordOf(names: readonly string[]): fc.Arbitrary<Record<string, unknown>> {
  const chosen = Object.fromEntries(
    names.map((name) => [name, fields[name] ?? fc.constant(`no arbitrary for ${name}`)]),
  );
  return fc.record(chosen, { requiredKeys: REQUIRED.filter((name) => names.includes(name)) });
}

/** Every field that the hand-written encoder knows, each present or not. */
const settled = fc
  .tuple(recordOf(settledFields.meta), recordOf(settledFields.content))
  .map(([meta, content]) => ({ kind: 'command.settled', ...meta, content }));

const OTHER_KINDS: readonly EntryKind[] = [
  'command.started',
  'command.finished',
  'session.event',
  'turn.released',
  'lease.extended',
  'session.expired',
  'server.started',
  'server.recovered',
  'server.stopped',
  'journal.restored',
  'session.restored',
  'session.purged',
  'read.audited',
  'housekeeping.finished',
];

/** These are written as they are: which fields they have makes no difference. */
const other = fc
  .tuple(fc.constantFrom(...OTHER_KINDS), recordOf(['commandId', 'sessionId', 'seq', 'errorCode']), object)
  .map(([kind, meta, content]) => ({ kind, ...meta, content: withoutCommand(content) }));

const accepted = fc
  .tuple(recordOf(settledFields.meta), command)
  .map(([meta, received]) => ({ kind: 'command.accepted', ...meta, content: { command: received } }));

/** Content without a command does not look as if it had one: no kind without a command has such fields. */
function withoutCommand(content: Record<string, unknown>): Record<string, unknown> {
  const { commandLength: _1, commandEscaped: _2, ...rest } = content;
  return rest;
}

export const arbitraryDraft = fc.oneof(settled, accepted, other) as unknown as fc.Arbitrary<EntryDraft>;
