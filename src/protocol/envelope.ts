/**
 * The fields that every command may carry beside its own, with the texts that the base protocol gives for wrong ones.
 *
 * Schemas check and never change a value: a command goes on as the object that was received. What depends on two fields
 * (`dependsOn` needs an `id`) is checked by the intake. State: none.
 */
import { z } from 'zod';
import { classed } from './data-class.ts';
import { field, textField } from './field.ts';

const ID_CHARS_MAX = 256;
const DEPENDENCIES_MAX = 32;

/** Ids of this form are given by the server to commands that came without one. */
const GENERATED_ID_PREFIX = 'anon:';

export const DEPENDS_ON_NEEDS_ID = 'Required when dependsOn is provided';

const OPTIONAL_TEXT = 'Must be a non-empty string if provided';
const REQUIRED_TEXT = 'Required non-empty string';
const TARGET_TEXT = "Session commands must have a non-empty string 'sessionId'";
const TOO_LONG = `Too long (max ${ID_CHARS_MAX} chars)`;
const VERSION = 'Must be a non-negative integer';
const NO_VERSION = 'Only supported for session-targeted commands';
const SESSION_ID_TOO_LONG = `Session ID too long (max ${ID_CHARS_MAX} characters)`;

export function isNotBlank(text: string): boolean {
  const first = text.charCodeAt(0);
  return (first > 32 && first < 127) || /\S/.test(text);
}

/** C0 and DEL. */
export function hasControlCharacters(text: string): boolean {
  return /[\u0000-\u001f\u007f]/.test(text);
}

/** A string with something in it, of at most 256 characters; `more` is asked last. */
function identifier(error: string, tooLong = TOO_LONG, more?: (text: string) => string | undefined) {
  const schema = textField(error, ID_CHARS_MAX, (text) => {
    if (!isNotBlank(text)) return error;
    return text.length > ID_CHARS_MAX ? tooLong : more?.(text);
  });
  return classed('identity', schema);
}

const commandId = identifier(OPTIONAL_TEXT, TOO_LONG, (id) =>
  id.startsWith(GENERATED_ID_PREFIX) ? `Cannot use reserved prefix '${GENERATED_ID_PREFIX}'` : undefined,
);

/** Looks at no more items than may be there, so that a frame full of wrong ones costs no more. */
const dependsOn = field<string[]>(
  { type: 'array', items: { type: 'string', maxLength: ID_CHARS_MAX }, maxItems: DEPENDENCIES_MAX },
  (value) => {
    if (!Array.isArray(value)) return 'Must be an array of command IDs';
    const findings = value.slice(0, DEPENDENCIES_MAX).flatMap((item: unknown, index) => {
      const message = dependencyProblem(item);
      return message === undefined ? [] : [{ path: [index], message }];
    });
    if (value.length > DEPENDENCIES_MAX)
      findings.unshift({ path: [], message: `Too many dependencies (max ${DEPENDENCIES_MAX})` });
    return findings.length === 0 ? undefined : findings;
  },
);

function dependencyProblem(item: unknown): string | undefined {
  if (typeof item !== 'string' || !isNotBlank(item)) return 'Must be a non-empty command ID string';
  return item.length > ID_CHARS_MAX ? TOO_LONG : undefined;
}

const sessionVersion = field<number>({ type: 'integer', minimum: 0 }, (value) =>
  isVersion(value) ? undefined : VERSION,
);

function isVersion(value: unknown): boolean {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}

/** For commands that have no session to compare with. A wrong value is told as well, as the base does. */
const noSessionVersion = field<never>({ not: {} }, (value) =>
  [...(isVersion(value) ? [] : [VERSION]), NO_VERSION].map((message) => ({ path: [], message })),
);

/** No session can have such a name; refused at once, it reaches no log and no index that might take it for something else. */
function targetProblem(id: string): string | undefined {
  return hasControlCharacters(id) ? 'Must not contain control characters' : undefined;
}

/** Of an id that a client gives to a new session. */
function sessionIdProblem(id: string): string | undefined {
  if (!/^[a-zA-Z0-9_.-]+$/.test(id))
    return 'Session ID must contain only alphanumeric characters, underscores, dashes, and dots';
  // These two cannot be a segment of a path, so they would not work everywhere.
  return id === '.' || id === '..' ? "Session ID must not be '.' or '..'" : undefined;
}

/** In the order in which the base reports. */
const common = {
  id: classed('identity', z.optional(commandId)),
  idempotencyKey: classed('identity', z.optional(identifier(OPTIONAL_TEXT))),
  dependsOn: classed('identity', z.optional(dependsOn)),
};

/** What the envelope ends with. Only a turn can be answered before its end, so only `prompt` replaces `respond`. */
const carried = {
  respond: classed('operational', z.optional(field<never>({ not: {} }, () => 'Only supported for prompt'))),
  traceparent: classed(
    'operational',
    z.optional(
      textField('Must be a string if provided', ID_CHARS_MAX, (text) =>
        text.length > ID_CHARS_MAX ? TOO_LONG : undefined,
      ),
    ),
  ),
};

const versioned = { ...common, ifSessionVersion: classed('operational', z.optional(sessionVersion)), ...carried };
const unversioned = { ...common, ifSessionVersion: classed('operational', z.optional(noSessionVersion)), ...carried };

/** A session that has to be named. */
export const targetId = identifier(REQUIRED_TEXT, TOO_LONG, targetProblem);

/** Envelopes by what a command is addressed to. */
export const envelopes = {
  /** A command of a session. */
  session: { ...versioned, sessionId: identifier(TARGET_TEXT, TOO_LONG, targetProblem) },
  /** Ends a session. */
  deletion: { ...versioned, sessionId: identifier(REQUIRED_TEXT, TOO_LONG, targetProblem) },
  /** Concerns a session and the connection that asks, and changes no session. */
  attachment: { ...unversioned, sessionId: identifier(REQUIRED_TEXT, TOO_LONG, targetProblem) },
  /** May name the session that it makes. */
  creation: {
    ...unversioned,
    sessionId: z.optional(identifier(OPTIONAL_TEXT, SESSION_ID_TOO_LONG, sessionIdProblem)),
  },
  /** A command of the server. */
  server: unversioned,
  /** For frames whose type names no command: what else is wrong with them is still told. */
  unknown: versioned,
} as const;
