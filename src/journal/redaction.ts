/**
 * Takes away from what is stored, exported and logged what the operator's rules name. What runs is never changed: the rules
 * are applied where an entry is handed to the journal, to a copy.
 *
 * Only content is touched, as the classes of `entry-classes.ts` say; ids, order, outcomes, codes and versions stay as they
 * are. JSON that is nested as text is looked into. State: none.
 */
import type { Entry } from '../../actors/entry.ts';
import type { Json } from '../../actors/json.ts';
import type { SessionView } from '../../actors/message.ts';
import type { Redaction } from '../../actors/ports.ts';
import { compileRules, REDACTED } from '../protocol/redaction-rules.ts';
import type { CompiledRules, Pattern, RedactionRules } from '../protocol/redaction-rules.ts';
import { commandShape, entryClasses, stateShape } from './entry-classes.ts';
import type { Shape } from './entry-classes.ts';
import { fingerprint } from './fingerprint.ts';
import { residueOfParts } from './residue.ts';

/** JSON in a text in JSON in a text. Deeper ones are looked at as texts alone. */
const NESTED_TEXTS_MAX = 4;

/** Fields of commands that are never stored, by the type of the command. */
export type SecretFields = ReadonlyMap<string, ReadonlySet<string>>;

export interface StoredRedaction extends Redaction {
  /** A line of the log: JSON with a line feed behind it. */
  line(line: string): string;
}

/** `undefined` when there is nothing to redact: then nothing is looked at. @throws when a rule can't be used. */
export function createRedaction(given: RedactionRules, secrets: SecretFields = new Map()): StoredRedaction | undefined {
  const { rules, problems } = compileRules(given);
  const [problem] = problems;
  if (problem !== undefined) throw new Error(`${problem.path}: ${problem.problem}`);
  if (rules.keys.size + rules.patterns.length + secrets.size === 0) return undefined;
  return new RuledRedaction(rules, secrets);
}

const LOG_SHAPE: Shape = {
  level: 'operational',
  time: 'operational',
  pid: 'operational',
  msg: 'operational',
  commandId: 'identity',
  sessionId: 'identity',
};

/** By which keys fields of the fold were stored: a rule that names one of those took them away. */
const STORED_AS: { readonly [Field in keyof SessionView]?: readonly string[] } = {
  input: ['input'],
  cwd: ['cwd'],
  labels: ['labels'],
  name: ['name', 'fields'],
  model: ['model', 'fields'],
  messages: ['message'],
  steers: ['message'],
  followUps: ['message'],
};

class RuledRedaction implements StoredRedaction {
  readonly #rules: CompiledRules;
  readonly #secrets: SecretFields;

  constructor(rules: CompiledRules, secrets: SecretFields) {
    this.#rules = rules;
    this.#secrets = secrets;
  }

  entry(entry: Entry): Entry {
    try {
      return this.#entry(entry);
    } catch {
      // Whatever is the matter with it (a text that is no JSON, a depth that no stack holds): nothing unseen is stored.
      return { ...entry, redacted: true, content: residueOfParts(entry.kind, entry.content) } as Entry;
    }
  }

  value(value: Json, shape?: Shape): Json {
    return this.#walk(value, shape, NESTED_TEXTS_MAX) as Json;
  }

  text(text: string): string {
    return this.#text(text, NESTED_TEXTS_MAX);
  }

  state<State extends Partial<SessionView>>(state: State): State {
    const left = this.#fields(state, stateShape) as State;
    const taken: { [field: string]: unknown } = {};
    for (const [field, names] of Object.entries(STORED_AS) as [keyof SessionView, readonly string[]][]) {
      if (left[field] === undefined || !names.some((name) => this.#rules.keys.has(name))) continue;
      const shown = takenOf(left[field], stateShape[field]);
      if (shown !== left[field]) taken[field] = shown;
    }
    return Object.keys(taken).length === 0 ? left : { ...left, ...taken };
  }

  line(line: string): string {
    try {
      return `${JSON.stringify(this.#walk(JSON.parse(line), LOG_SHAPE, NESTED_TEXTS_MAX))}\n`;
    } catch {
      return `${this.#text(line.trimEnd(), 0)}\n`;
    }
  }

  #entry(entry: Entry): Entry {
    const { content } = entry;
    const parts = this.#fields(content, entryClasses[entry.kind].content) as Record<string, unknown>;
    const traceparent = 'traceparent' in entry ? entry.traceparent : undefined;
    const trace = traceparent === undefined ? undefined : this.#text(traceparent, 0);
    let stored: Record<string, unknown> | undefined;
    if (parts !== content || trace !== traceparent) stored = { ...entry, redacted: true, content: parts };
    if (stored !== undefined && trace !== undefined) stored['traceparent'] = trace;
    if (entry.kind !== 'command.accepted' && entry.kind !== 'command.settled')
      return (stored as Entry | undefined) ?? entry;
    const before = entry.content.command;
    const after = this.#command(before, entry.commandType);
    if (after.text === before) return (stored as Entry | undefined) ?? entry;
    stored ??= { ...entry };
    stored['content'] = { ...parts, command: after.text };
    if (!after.changed) return stored as unknown as Entry;
    stored['redacted'] = true;
    // Of the text as it was received: by it the same frame is known when it comes again.
    stored['fingerprint'] = entry.fingerprint ?? fingerprint(before);
    return stored as unknown as Entry;
  }

  /** White space and keys that are there twice go as well: what is stored holds nothing that was not looked at. */
  #command(text: string, type: string): { readonly text: string; readonly changed: boolean } {
    const frame = JSON.parse(text) as Record<string, unknown>;
    const secret = this.#secrets.get(type);
    let left = this.#walk(frame, commandShape, NESTED_TEXTS_MAX) as Record<string, unknown>;
    for (const name of secret ?? []) if (Object.hasOwn(left, name)) left = { ...left, [name]: REDACTED };
    return { text: JSON.stringify(left), changed: left !== frame };
  }

  /** Of an object whose own names are no rule's business. A command's text is looked at by itself. */
  #fields(value: object, shape: Readonly<Record<string, Shape>>): object {
    let copy: Record<string, unknown> | undefined;
    for (const [name, field] of Object.entries(value)) {
      if (shape[name] === commandShape) continue;
      const left = this.#walk(field, shape[name], NESTED_TEXTS_MAX);
      if (left !== field) (copy ??= { ...value })[name] = left;
    }
    return copy ?? value;
  }

  /** The very value when there is nothing to take away from it. */
  #walk(value: unknown, shape: Shape | undefined, nested: number): unknown {
    if (shape === 'identity' || shape === 'operational') return value;
    if (typeof value === 'string') return this.#text(value, nested);
    if (typeof value !== 'object' || value === null) return value;
    if (Array.isArray(value)) {
      const item = Array.isArray(shape) ? (shape as readonly [Shape])[0] : undefined;
      const items = value.map((each: unknown) => this.#walk(each, item, nested));
      return items.some((each, index) => each !== value[index]) ? items : value;
    }
    const named = typeof shape === 'object' && !Array.isArray(shape) ? (shape as Record<string, Shape>) : undefined;
    let changed = false;
    const fields = Object.entries(value).map(([name, field]: [string, unknown]): [string, unknown] => {
      const own = named !== undefined && Object.hasOwn(named, name) ? named[name] : undefined;
      if (own === 'identity' || own === 'operational') return [name, field];
      const left = this.#rules.keys.has(name.toLowerCase()) ? taken(field, own) : this.#walk(field, own, nested);
      const shown = own === undefined ? this.#match(name) : name;
      changed ||= left !== field || shown !== name;
      return [shown, left];
    });
    // Not by assignment: a field may be called __proto__.
    return changed ? Object.fromEntries(distinct(fields)) : value;
  }

  #text(text: string, nested: number): string {
    const first = text.trimStart()[0];
    if (nested > 0 && (first === '{' || first === '[')) {
      const parsed = parse(text);
      if (parsed !== undefined) {
        const left = this.#walk(parsed, undefined, nested - 1);
        // One that has keys twice shows only the last of them.
        if (left !== parsed || this.#match(text) !== text) return this.#match(JSON.stringify(left));
        return this.#names(text) ? JSON.stringify(left) : text;
      }
    }
    return this.#match(text);
  }

  /** A text that is JSON and has nothing under a named key may still name it twice. */
  #names(text: string): boolean {
    const lower = text.toLowerCase();
    for (const key of this.#rules.keys) if (lower.includes(key)) return true;
    return false;
  }

  #match(text: string): string {
    let found: [from: number, to: number][] | undefined;
    for (const pattern of this.#rules.patterns) found = matches(pattern, text, found);
    return found === undefined ? text : without(text, found);
  }
}

/** In place of what stands under a key that a rule names. Messages and the like keep their form; of a field, nothing stays nothing. */
function taken(value: unknown, shape: Shape | undefined): unknown {
  if (value === null && shape !== undefined) return null;
  if (typeof shape !== 'object' || typeof value !== 'object' || value === null) return REDACTED;
  return residueOfParts(shape, value);
}

/** The same of a field of the fold: of each item, where what was stored one by one is a list there. */
function takenOf(value: unknown, shape: Shape | undefined): unknown {
  if (!Array.isArray(value)) return taken(value, shape);
  const item = Array.isArray(shape) ? (shape as readonly [Shape])[0] : undefined;
  const items = value.map((each: unknown) => taken(each, item));
  return items.some((each, index) => each !== value[index]) ? items : value;
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Names that are the same now are told apart: no field is lost. */
function distinct(fields: [string, unknown][]): [string, unknown][] {
  const names = new Set<string>();
  return fields.map(([name, field]) => {
    let shown = name;
    for (let count = 2; names.has(shown); count += 1) shown = `${name} ${count}`;
    names.add(shown);
    return [shown, field];
  });
}

function matches(
  { regex, pieceChars }: Pattern,
  text: string,
  before: [number, number][] | undefined,
): [number, number][] | undefined {
  let found = before;
  const step = pieceChars / 2;
  for (let from = 0; from === 0 || from + step < text.length; from += step) {
    const piece = text.length <= pieceChars ? text : text.slice(from, from + pieceChars);
    for (const match of piece.matchAll(regex)) {
      if (match[0] !== '') (found ??= []).push([from + match.index, from + match.index + match[0].length]);
    }
    if (piece === text) break;
  }
  return found;
}

/** Overlapping and touching matches are one. */
function without(text: string, found: [number, number][]): string {
  found.sort(([a], [b]) => a - b);
  let left = '';
  let end = 0;
  let open = -1;
  for (const [from, to] of found) {
    if (open < 0 || from > end) {
      left += text.slice(open < 0 ? 0 : end, from) + REDACTED;
      open = from;
      end = to;
    } else end = Math.max(end, to);
  }
  return left + text.slice(end);
}
