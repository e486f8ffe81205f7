/**
 * The rules of redaction, checked and compiled: names of keys, and patterns that are looked for in texts.
 *
 * Matching runs where commands run, with a backtracking engine. So each pattern is timed against hostile texts before it is
 * used: one that gets out of hand is refused, and one that takes long on long texts looks at them in pieces that are so short
 * that it does not. State: none.
 */

/** Stands where something was taken away. */
export const REDACTED = '[redacted]';

export interface RedactionRules {
  /** Names of keys, whatever the case; their values are taken away at any depth. */
  readonly keys: readonly string[];
  /** Regular expressions; what they match is taken away from texts, and from names of keys, at any depth. */
  readonly patterns: readonly string[];
}

/** A rule that can't be used: where it stands, and why. */
export interface RuleProblem {
  /** Dotted. */
  readonly path: string;
  readonly problem: string;
}

export interface Pattern {
  readonly regex: RegExp;
  /** So many characters at a time; a piece overlaps half of the one before. */
  readonly pieceChars: number;
}

export interface CompiledRules {
  /** In lower case. */
  readonly keys: ReadonlySet<string>;
  readonly patterns: readonly Pattern[];
}

/** Fields by which entries, commands and events are known, ordered and ended. */
const KEPT_NAMES: ReadonlySet<string> = new Set(
  (
    'id type kind lane laneSeq offset at seq epoch boot commandId commandType explicitId principal owner mailbox sessionId ' +
    'dependsOn ifSessionVersion idempotencyKey keyScope success errorCode code timedOut sessionVersion version attempt ' +
    'acceptedOffset deadlineAt interrupted recovered outcome hash digest fingerprint redacted blanked respond role engine ' +
    'machineVersion toolCallId toolName eventType requestId state mode reason facts events event'
  )
    .toLowerCase()
    .split(' '),
);

/** What such fields say: a pattern that finds one of these is about more than secrets. */
const KEPT_TEXTS: readonly string[] = [
  'session-3f9a1c7be04d52a6c8e1b0f7',
  'anon:1:1',
  ...(
    'local server session work control read prompt create_session delete_session set_session_name command.accepted ' +
    'command.started command.settled command.finished session.event session.opened session.closed message.queued ' +
    'queue.cleared turn.released agent_start agent_end turn_start turn_end message_start message_end ' +
    'tool_execution_start tool_execution_end session_changed user assistant text steer followUp echo scripted off low ' +
    'medium high COMMAND_TIMEOUT INTERRUPTED SESSION_NOT_FOUND deleted'
  ).split(' '),
];

const PIECES: readonly number[] = [8_192, 2_048, 512];
/** On a hostile text, for each character of a piece. */
const MICROSECONDS_PER_CHAR = 0.5;
/** The shortest pieces may cost more, up to here: then the pattern is refused. */
const MICROSECONDS_PER_CHAR_MAX = 4;
/** Lengths at which a pattern that doubles its time with each character shows it before it takes seconds. */
const SHORT_PROBES: readonly number[] = [12, 16, 20, 24, 28, 32, 64, 128];
const SHORT_PROBE_MS_MAX = 4;
/** The quickest one counts: a machine that is busy with something else must not refuse a rule. */
const TRIES = 12;

/** Every rule that can't be used, and the others. */
export function compileRules({ keys, patterns }: RedactionRules): {
  readonly rules: CompiledRules;
  readonly problems: readonly RuleProblem[];
} {
  const problems: RuleProblem[] = [];
  const names = new Set<string>();
  for (const [index, key] of keys.entries()) {
    const problem = keyProblem(key);
    if (problem === undefined) names.add(key.toLowerCase());
    else problems.push({ path: `redaction.keys.${index}`, problem: `${quoted(key)} ${problem}` });
  }
  const compiled: Pattern[] = [];
  for (const [index, source] of patterns.entries()) {
    const pattern = compile(source);
    if (typeof pattern === 'object') compiled.push(pattern);
    else problems.push({ path: `redaction.patterns.${index}`, problem: `${quoted(source)} ${pattern}` });
  }
  return { rules: { keys: names, patterns: compiled }, problems };
}

function keyProblem(key: string): string | undefined {
  if (key.trim() === '') return 'is empty: name a key';
  if (!KEPT_NAMES.has(key.toLowerCase())) return undefined;
  return 'is a field that entries are known by, and may not be redacted: name keys of what clients say';
}

function compile(source: string): Pattern | string {
  let regex: RegExp;
  try {
    regex = new RegExp(source, 'gu');
  } catch (error) {
    return `is no regular expression: ${(error as Error).message.replace(/^.*: /su, '')}`;
  }
  if (regex.test('')) return 'matches the empty text, and so everything';
  const kept = [...KEPT_TEXTS, REDACTED].find((text) => text.search(regex) >= 0);
  if (kept !== undefined)
    return `matches ${quoted(kept)}, which is no secret: ids, types and codes may not be redacted`;
  const pieceChars = pieceOf(regex);
  return pieceChars === undefined
    ? 'takes too long on some texts: bound its repetitions, {1,64} in place of + or *'
    : { regex, pieceChars };
}

function pieceOf(regex: RegExp): number | undefined {
  const hostile = hostileTexts(regex.source);
  for (const length of SHORT_PROBES) {
    for (const text of hostile) if (timeOf(regex, fill(text, length)) > SHORT_PROBE_MS_MAX) return undefined;
  }
  for (const chars of PIECES.toReversed()) {
    const slowest = Math.max(...hostile.map((text) => timeOf(regex, fill(text, chars))));
    const each = (slowest * 1_000) / chars;
    const next = PIECES[PIECES.indexOf(chars) - 1];
    if (chars === PIECES.at(-1) && each > MICROSECONDS_PER_CHAR_MAX) return undefined;
    if (each > MICROSECONDS_PER_CHAR) return PIECES[Math.min(PIECES.indexOf(chars) + 1, PIECES.length - 1)];
    if (next === undefined) return chars;
  }
  return PIECES.at(-1);
}

/** What the pattern is made of, repeated: most of it matches, and the end never does. */
function hostileTexts(source: string): readonly string[] {
  const words = source.match(/[\p{L}\p{N}_@:/=.-]+/gu) ?? [];
  const characters = new Set(['a', 'A', '0', ' ', '-', '.', '@', '/', ...words.join('')].slice(0, 32));
  return [...characters, ...words.slice(0, 8), 'a0', 'aA', 'a.', 'a@', 'a '];
}

function fill(text: string, length: number): string {
  return text.repeat(Math.ceil(length / text.length)).slice(0, length - 1) + '\u0001';
}

/** The quickest of some tries, in milliseconds: what else the machine does meanwhile is not the pattern's fault. */
function timeOf(regex: RegExp, text: string): number {
  let quickest = Infinity;
  for (let tries = 0; tries < TRIES; tries += 1) {
    const begin = performance.now();
    text.replace(regex, '');
    quickest = Math.min(quickest, performance.now() - begin);
    if (quickest < SHORT_PROBE_MS_MAX / 16) break;
  }
  return quickest;
}

function quoted(text: string): string {
  return JSON.stringify(text.length > 120 ? `${text.slice(0, 120)}...` : text);
}
