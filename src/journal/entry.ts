/**
 * The stored form of an entry: its place and kind as columns, everything else outside `content` as one JSON text (`meta`),
 * and `content` as another.
 *
 * The text of a command is kept exactly as it was received. It is embedded in `content` as the JSON that it is, behind its
 * length, so that any JSON reader understands the journal and decoding still gives back the identical text, white space
 * included; parsing and writing it again would cost more than the rest of the entry.
 *
 * Encoding is deterministic and `decode(encode(entry))` equals `entry`, as far as JSON goes: `-0` comes back as `0`.
 * Because entries are hashed, none is ever written again in a newer form: each carries the version of its form instead.
 */
import type { CommandSettled, Entry } from '../../actors/entry.ts';
import { quote } from '../protocol/quote.ts';

/** Version of the stored form; a journal may hold several. */
export const RECORD_VERSION = 1;

export interface EntryRecord {
  readonly version: number;
  readonly offset: number;
  readonly lane: string;
  readonly laneSeq: number;
  readonly at: number;
  readonly kind: Entry['kind'];
  /** JSON object: identity, order and outcome. Hashed as it stands. */
  readonly meta: string;
  /** JSON object. Hashed by its digest alone. */
  readonly content: string;
  /** Hex sha256 of the content as it was, when it was blanked; `content` is what is left of it. */
  readonly digest?: string | undefined;
}

export function encode(entry: Entry): EntryRecord {
  return {
    version: RECORD_VERSION,
    offset: entry.offset,
    lane: entry.lane,
    laneSeq: entry.laneSeq,
    at: entry.at,
    kind: entry.kind,
    meta: encodeMeta(entry),
    content: encodeContent(entry),
  };
}

export function encodeMeta(entry: Entry): string {
  if (entry.kind === 'command.settled') return settledMeta(entry);
  const { offset, lane, laneSeq, at, kind, blanked, content, ...identity } = entry;
  return JSON.stringify(identity);
}

export function encodeContent(entry: Entry): string {
  if (entry.kind === 'command.settled') return settledContent(entry.content);
  if (entry.kind === 'command.accepted') return `${commandHead(entry.content.command)}}`;
  return JSON.stringify(entry.content);
}

/** The parsed objects are filled up and not copied: one text for the whole entry, or a spread, costs twice as much. */
export function decode(record: EntryRecord): Entry {
  mustBeKnownForm(record);
  const entry = JSON.parse(record.meta) as Record<string, unknown>;
  entry['offset'] = record.offset;
  entry['lane'] = record.lane;
  entry['laneSeq'] = record.laneSeq;
  entry['at'] = record.at;
  entry['kind'] = record.kind;
  entry['content'] = parsedContent(record.content);
  if (record.digest !== undefined) entry['blanked'] = true;
  return entry as unknown as Entry;
}

/** @throws for a form that this version does not know. */
export function mustBeKnownForm({ offset, version }: EntryRecord): void {
  if (version === RECORD_VERSION) return;
  throw new Error(`offset ${offset} is stored in form ${version}, newer than this version of troupe`);
}

export function parsedContent(content: string): unknown {
  const span = commandSpan(content);
  if (span === undefined) return JSON.parse(content) as unknown;
  const command = textWithin(content, span);
  const events = oneChange(content, span.end);
  return events === undefined ? { ...restBehind(content, span.end), command } : { command, events };
}

/** `command` is the text as received, `rest` is all else. */
export interface ParsedContent {
  readonly command: string | undefined;
  readonly rest: Record<string, unknown>;
}

export function parseContent(content: string): ParsedContent {
  const span = commandSpan(content);
  if (span === undefined) return { command: undefined, rest: JSON.parse(content) as Record<string, unknown> };
  return { command: textWithin(content, span), rest: restBehind(content, span.end) };
}

/** What most commands cause, and nothing else: one event, of one change. */
const ONE_CHANGE = /,"events":\[\{"type":"session_changed","fields":\{"name":"([^"\\\u0000-\u001f]*)"\}\}\]\}$/y;

/** Parsing it takes five times as long. */
function oneChange(content: string, end: number): readonly unknown[] | undefined {
  ONE_CHANGE.lastIndex = end;
  const found = ONE_CHANGE.exec(content);
  return found === null ? undefined : [{ type: 'session_changed', fields: { name: found[1]! } }];
}

/** Read where it stands: to copy it first takes half as long again. */
function restBehind(content: string, end: number): Record<string, unknown> {
  if (content.charCodeAt(end) !== COMMA) return {};
  if (content.startsWith(EVENTS_HEAD, end) && !content.includes(FACTS_HEAD, end)) {
    try {
      return { events: JSON.parse(content.slice(end + EVENTS_HEAD.length, -1)) as unknown };
    } catch {
      // Something else stands behind them.
    }
  }
  return JSON.parse(`{${content.slice(end + 1)}`) as Record<string, unknown>;
}

export function encodeParsed({ command, rest }: ParsedContent): string {
  const text = JSON.stringify(rest);
  if (command === undefined) return text;
  return text === '{}' ? `${commandHead(command)}}` : `${commandHead(command)},${text.slice(1)}`;
}

/** The text of the command that `content` carries, as received. */
export function commandText(content: string): string | undefined {
  const span = commandSpan(content);
  return span === undefined ? undefined : textWithin(content, span);
}

const COMMA = 0x2c;
const ZERO = 0x30;
const NINE = 0x39;
const EVENTS_HEAD = ',"events":';
const FACTS_HEAD = ',"facts":';
const LENGTH_HEAD = '{"commandLength":';
const COMMAND_HEAD = ',"command":';
/** A text that UTF-8 can't carry as it stands is kept as a JSON string. No transport delivers such a text. */
const ESCAPED_HEAD = '{"commandEscaped":';

const SURROGATE = /[\ud800-\udfff]/;
/** Slower, therefore second: with the flag `u`, a pair is one character and no surrogate. */
const LONE_SURROGATE = /\p{Surrogate}/u;

/** False for a text with half a surrogate pair in it, which UTF-8 would not give back. */
export function isUtf8(text: string): boolean {
  return !SURROGATE.test(text) || !LONE_SURROGATE.test(text);
}

interface Span {
  readonly start: number;
  readonly end: number;
  readonly escaped: boolean;
}

function commandHead(text: string): string {
  if (isUtf8(text)) return `${LENGTH_HEAD}${text.length}${COMMAND_HEAD}${text}`;
  const escaped = JSON.stringify(text);
  return `${ESCAPED_HEAD}${escaped.length}${COMMAND_HEAD}${escaped}`;
}

function commandSpan(content: string): Span | undefined {
  const escaped = !content.startsWith(LENGTH_HEAD);
  if (escaped && !content.startsWith(ESCAPED_HEAD)) return undefined;
  let at = escaped ? ESCAPED_HEAD.length : LENGTH_HEAD.length;
  let length = 0;
  for (let digit = content.charCodeAt(at); digit >= ZERO && digit <= NINE; digit = content.charCodeAt(at)) {
    length = length * 10 + digit - ZERO;
    at += 1;
  }
  if (!content.startsWith(COMMAND_HEAD, at)) throw new SyntaxError('the length of the command is none');
  const start = at + COMMAND_HEAD.length;
  return { start, end: start + length, escaped };
}

function textWithin(content: string, span: Span): string {
  const text = content.slice(span.start, span.end);
  return span.escaped ? (JSON.parse(text) as string) : text;
}

type Written<T> = Record<keyof T, true>;

/** Fails to compile when a field is added that the two functions below do not write. */
const SETTLED = {
  meta: {
    commandId: true,
    commandType: true,
    explicitId: true,
    principal: true,
    mailbox: true,
    sessionId: true,
    idempotencyKey: true,
    keyScope: true,
    traceparent: true,
    passive: true,
    success: true,
    errorCode: true,
    timedOut: true,
    sessionVersion: true,
    dependsOn: true,
    seq: true,
    redacted: true,
    fingerprint: true,
  } satisfies Written<Omit<CommandSettled, keyof EntryRecord | 'blanked'>>,
  content: {
    command: true,
    error: true,
    data: true,
    details: true,
    events: true,
    facts: true,
  } satisfies Written<CommandSettled['content']>,
};

/** The fields of the hand-written form, for the test that plants each of them. */
export const settledFields: { readonly meta: readonly string[]; readonly content: readonly string[] } = {
  meta: Object.keys(SETTLED.meta),
  content: Object.keys(SETTLED.content),
};

/** Written by hand because every instant command passes here, on the event loop. */
function settledMeta(entry: CommandSettled): string {
  let text =
    `{"commandId":${quote(entry.commandId)},"commandType":${quote(entry.commandType)}` +
    `,"explicitId":${entry.explicitId},"principal":${quote(entry.principal)},"mailbox":${quote(entry.mailbox)}`;
  if (entry.sessionId !== undefined) text += `,"sessionId":${quote(entry.sessionId)}`;
  if (entry.idempotencyKey !== undefined) text += `,"idempotencyKey":${quote(entry.idempotencyKey)}`;
  if (entry.keyScope !== undefined) text += `,"keyScope":${quote(entry.keyScope)}`;
  if (entry.traceparent !== undefined) text += `,"traceparent":${quote(entry.traceparent)}`;
  if (entry.passive !== undefined) text += `,"passive":${entry.passive}`;
  text += `,"success":${entry.success}`;
  if (entry.errorCode !== undefined) text += `,"errorCode":${quote(entry.errorCode)}`;
  if (entry.timedOut !== undefined) text += `,"timedOut":${entry.timedOut}`;
  if (entry.sessionVersion !== undefined) text += `,"sessionVersion":${entry.sessionVersion}`;
  if (entry.dependsOn !== undefined) text += `,"dependsOn":${JSON.stringify(entry.dependsOn)}`;
  if (entry.seq !== undefined) text += `,"seq":${entry.seq}`;
  if (entry.redacted !== undefined) text += ',"redacted":true';
  if (entry.fingerprint !== undefined) text += `,"fingerprint":${quote(entry.fingerprint)}`;
  return `${text}}`;
}

function settledContent(content: CommandSettled['content']): string {
  let text = commandHead(content.command);
  if (content.error !== undefined) text += `,"error":${quote(content.error)}`;
  if (content.data !== undefined) text += `,"data":${JSON.stringify(content.data)}`;
  if (content.details !== undefined) text += `,"details":${JSON.stringify(content.details)}`;
  if (content.events !== undefined) text += `,"events":${JSON.stringify(content.events)}`;
  if (content.facts !== undefined) text += `,"facts":${JSON.stringify(content.facts)}`;
  return `${text}}`;
}
