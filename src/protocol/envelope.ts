/**
 * The fields that every command may carry beside its own, with the texts that the base protocol gives for wrong ones.
 *
 * Schemas check and never change a value: a command goes on as the object that was received. What depends on two fields
 * (`dependsOn` needs an `id`) is checked by the intake. State: none.
 */
import { z } from 'zod';

const ID_CHARS_MAX = 256;
const DEPENDENCIES_MAX = 32;

/** Ids of this form are given by the server to commands that came without one. */
export const GENERATED_ID_PREFIX = 'anon:';

export const DEPENDS_ON_NEEDS_ID = 'Required when dependsOn is provided';

const OPTIONAL_TEXT = 'Must be a non-empty string if provided';
const REQUIRED_TEXT = 'Required non-empty string';
const TARGET_TEXT = "Session commands must have a non-empty string 'sessionId'";
const TOO_LONG = `Too long (max ${ID_CHARS_MAX} chars)`;
const VERSION = 'Must be a non-negative integer';

export function isNotBlank(text: string): boolean {
  return /\S/.test(text);
}

/** A string with something in it, of at most 256 characters. The first offence is the only one reported. */
function identifier(error: string, tooLong = TOO_LONG) {
  return z
    .string({ error })
    .refine(isNotBlank, { error, abort: true })
    .max(ID_CHARS_MAX, { error: tooLong, abort: true });
}

const commandId = identifier(OPTIONAL_TEXT).refine((id) => !id.startsWith(GENERATED_ID_PREFIX), {
  error: `Cannot use reserved prefix '${GENERATED_ID_PREFIX}'`,
});

/** By hand, so that a frame full of wrong items costs no more than the items that may be there. */
const dependsOn = z
  .unknown()
  .superRefine((value, context) => {
    if (!Array.isArray(value)) return context.addIssue('Must be an array of command IDs');
    if (value.length > DEPENDENCIES_MAX) context.addIssue(`Too many dependencies (max ${DEPENDENCIES_MAX})`);
    value.slice(0, DEPENDENCIES_MAX).forEach((item: unknown, index) => {
      const message = dependencyProblem(item);
      if (message !== undefined) context.addIssue({ code: 'custom', path: [index], message });
    });
  })
  .meta({ type: 'array', items: { type: 'string', maxLength: ID_CHARS_MAX }, maxItems: DEPENDENCIES_MAX });

function dependencyProblem(item: unknown): string | undefined {
  if (typeof item !== 'string' || !isNotBlank(item)) return 'Must be a non-empty command ID string';
  return item.length > ID_CHARS_MAX ? TOO_LONG : undefined;
}

const sessionVersion = z.int({ error: VERSION }).min(0, { error: VERSION });

/** For commands that have no session to compare with. Reports a wrong value as well, as the base does. */
const noSessionVersion = z.unknown().superRefine((value, context) => {
  if (!sessionVersion.safeParse(value).success) context.addIssue(VERSION);
  context.addIssue('Only supported for session-targeted commands');
});

/** In the order in which the base reports. */
const common = {
  id: commandId.optional(),
  idempotencyKey: identifier(OPTIONAL_TEXT).optional(),
  dependsOn: dependsOn.optional(),
};

/** What the envelope ends with. Only a turn can be answered before its end, so only `prompt` replaces `respond`. */
const carried = {
  respond: z.undefined({ error: 'Only supported for prompt' }).optional(),
  traceparent: z.string({ error: 'Must be a string if provided' }).max(ID_CHARS_MAX, { error: TOO_LONG }).optional(),
};

const versioned = { ...common, ifSessionVersion: sessionVersion.optional(), ...carried };
const unversioned = { ...common, ifSessionVersion: noSessionVersion.optional(), ...carried };

/** Envelopes by what a command is addressed to. */
export const envelopes = {
  /** A command of a session. */
  session: { ...versioned, sessionId: identifier(TARGET_TEXT) },
  /** Ends a session. */
  deletion: { ...versioned, sessionId: identifier(REQUIRED_TEXT) },
  /** Concerns a session and the connection that asks, and changes no session. */
  attachment: { ...unversioned, sessionId: identifier(REQUIRED_TEXT) },
  /** May name the session that it makes. */
  creation: {
    ...unversioned,
    sessionId: identifier(OPTIONAL_TEXT, `Session ID too long (max ${ID_CHARS_MAX} characters)`)
      .regex(/^[a-zA-Z0-9_.-]+$/, {
        error: 'Session ID must contain only alphanumeric characters, underscores, dashes, and dots',
        abort: true,
      })
      // These two cannot be a segment of a path, so they would not work everywhere.
      .refine((id) => id !== '.' && id !== '..', { error: "Session ID must not be '.' or '..'" })
      .optional(),
  },
  /** A command of the server. */
  server: unversioned,
  /** For frames whose type names no command: what else is wrong with them is still told. */
  unknown: versioned,
} as const;
