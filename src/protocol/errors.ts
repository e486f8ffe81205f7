/**
 * The one table of coded errors: every `errorCode` that a client can see, and what to make of it.
 *
 * Codes are stable, texts are for people and may change. `docs/ERRORS.md` is this table as a page; a test holds the two
 * together. State: none.
 */

/**
 * What sending the command again can bring.
 *
 * - `never`: the same command fails in the same way; change it first.
 * - `same id`: nothing was stored under the id; the very same frame may succeed later.
 * - `new id`: the failure is the stored outcome of this id; another try needs another id (and idempotency key).
 */
export type Retry = 'never' | 'same id' | 'new id';

interface ErrorRow {
  readonly meaning: string;
  readonly action: string;
  readonly retry: Retry;
}

/** Every code, with what it means and what a client does about it. */
export const errors = {
  INVALID_JSON: {
    meaning: 'The frame is not valid UTF-8 or not valid JSON.',
    action: 'Fix the encoder; one JSON value per frame.',
    retry: 'never',
  },
  INVALID_FRAME: {
    meaning: 'The frame is JSON, but no object.',
    action: 'Send an object with a `type`.',
    retry: 'never',
  },
  FRAME_TOO_LARGE: {
    meaning: 'The frame has more bytes than `limits.frameBytesMax`.',
    action: 'Send less at once; the limit is in `server_ready`.',
    retry: 'never',
  },
  VALIDATION_FAILED: {
    meaning: 'A field is missing, has the wrong shape, or is nested too deeply.',
    action: 'Correct the fields that `details` lists.',
    retry: 'never',
  },
  UNKNOWN_COMMAND: {
    meaning: 'There is no command of this type.',
    action: 'Compare `protocolVersion` and the list of commands.',
    retry: 'never',
  },
  UNAUTHENTICATED: {
    meaning: 'The client did not prove who it is.',
    action: 'Connect with valid credentials.',
    retry: 'never',
  },
  FORBIDDEN: {
    meaning: 'The principal lacks the scope that the command needs, or the Host or Origin of the request is foreign.',
    action: 'Ask the operator for the scope that `details.scope` names.',
    retry: 'never',
  },
  SHUTTING_DOWN: {
    meaning: 'The server drains: it finishes what it accepted and accepts nothing more.',
    action: 'Reconnect after the close and send the same frame again.',
    retry: 'same id',
  },
  JOURNAL_UNAVAILABLE: {
    meaning: 'The journal cannot be written; nothing new is accepted.',
    action: 'Wait and send the same frame again; reads and replays still work.',
    retry: 'same id',
  },
  ID_CONFLICT: {
    meaning: 'The id was used for another command.',
    action: 'Choose a fresh id; the first command keeps its outcome.',
    retry: 'new id',
  },
  IDEMPOTENCY_CONFLICT: {
    meaning: 'The idempotency key was used for another command.',
    action: 'Choose a fresh key; the first command keeps its outcome.',
    retry: 'new id',
  },
  RATE_LIMITED: {
    meaning: 'The principal sends faster than its budget allows.',
    action: 'Wait `retryAfterMs`, then send the same frame again.',
    retry: 'same id',
  },
  TOO_MANY_PENDING: {
    meaning: 'The connection has `limits.pendingMax` commands without an answer.',
    action: 'Wait for responses; send the same frame again.',
    retry: 'same id',
  },
  TOO_MANY_SUBSCRIPTIONS: {
    meaning: 'The connection is attached to as many sessions as `limits.subscriptionsMax`.',
    action: 'Detach from a session, or open another connection.',
    retry: 'new id',
  },
  MAILBOX_FULL: {
    meaning: "The session's mailbox, or its queue of messages for the next turn, is full.",
    action: 'Wait for the session to work off its queue; send the same frame again.',
    retry: 'same id',
  },
  DEPENDENCY_UNKNOWN: {
    meaning: 'A command in `dependsOn` is not known to the server.',
    action: 'Send the dependency first, then this command.',
    retry: 'same id',
  },
  DEPENDENCY_FAILED: {
    meaning: 'A command in `dependsOn` failed, so this one did not run.',
    action: 'Look at the outcome of the dependency.',
    retry: 'new id',
  },
  DEPENDENCY_TIMEOUT: {
    meaning: 'A command in `dependsOn` had no outcome in time, so this one did not run.',
    action: 'Wait for the outcome of the dependency, then send anew.',
    retry: 'new id',
  },
  DEPENDENCY_SELF: {
    meaning: 'The command depends on itself.',
    action: 'Remove its own id from `dependsOn`.',
    retry: 'never',
  },
  SESSION_NOT_FOUND: {
    meaning: 'There is no session of this id.',
    action: 'Create it, or look it up with `list_sessions`.',
    retry: 'new id',
  },
  SESSION_EXISTS: {
    meaning: 'A session of this id exists; it was left untouched.',
    action: 'Use the existing session or choose another id.',
    retry: 'new id',
  },
  SESSION_LIMIT: {
    meaning: 'The server holds `limits.sessionsMax` sessions.',
    action: 'Delete sessions that are not needed any more.',
    retry: 'new id',
  },
  SESSION_EXPIRED: {
    meaning: "The session's lifetime ended, or it lives on only for what runs and takes no new work.",
    action: 'Create a new session; its id may be the same.',
    retry: 'never',
  },
  SESSION_QUARANTINED: {
    meaning: 'What is stored of the session cannot be read; it was set aside.',
    action: 'Tell the operator; only delete and history work.',
    retry: 'never',
  },
  COMMAND_QUARANTINED: {
    meaning: 'The command took the process down too often; it is not tried again.',
    action: 'Tell the operator; the session goes on without it.',
    retry: 'new id',
  },
  VERSION_MISMATCH: {
    meaning: 'The session is not at the version that `ifSessionVersion` expects.',
    action: 'Read the state, decide again, and send with the new version.',
    retry: 'new id',
  },
  COMMAND_TIMEOUT: {
    meaning: 'The command had no outcome in time; it does not run later.',
    action: 'Decide whether to try again.',
    retry: 'new id',
  },
  COMMAND_ABORTED: {
    meaning: 'The command was ended by an abort, by the end of its session, or by a stop of the server.',
    action: 'None; this was asked for.',
    retry: 'new id',
  },
  INTERRUPTED: {
    meaning: 'The process ended while the command ran; its effects outside may have happened.',
    action: 'Look at the session, then decide whether to try again.',
    retry: 'new id',
  },
  CIRCUIT_OPEN: {
    meaning: 'The engine failed repeatedly and is not called for a while.',
    action: 'Wait, then try again.',
    retry: 'new id',
  },
  UI_REQUEST_NOT_FOUND: {
    meaning: 'The session has no question of this id.',
    action: 'Look it up with `list_ui_requests`.',
    retry: 'never',
  },
  UI_REQUEST_RESOLVED: {
    meaning: 'The question was answered, cancelled, or has expired before.',
    action: 'None; the first answer stands.',
    retry: 'never',
  },
  UI_ANSWER_INVALID: {
    meaning: 'The answer does not fit the question, which stays pending.',
    action: "Answer with the question's method and one of its choices.",
    retry: 'new id',
  },
  CURSOR_EXPIRED: {
    meaning: 'The cursor points to events that are not kept, or to another epoch.',
    action: 'Attach from the start and rebuild.',
    retry: 'never',
  },
  ENGINE_FAILED: {
    meaning: 'The engine, or the provider behind it, failed in the middle of the work.',
    action: 'Read the text; try again when the cause is gone.',
    retry: 'new id',
  },
  ENGINE_UNAVAILABLE: {
    meaning: 'The engine cannot be used: not installed, not configured, or gone.',
    action: 'Follow the text, or choose another engine.',
    retry: 'new id',
  },
  COMPACTION_FAILED: {
    meaning:
      'Nothing more of the journal was dropped: there is no recent verified backup, it could not be read or written, or nothing more may go.',
    action: 'Do what the text says; then try again.',
    retry: 'new id',
  },
  BACKUP_FAILED: {
    meaning:
      'The journal could not be copied, or the copy was not what it should be; earlier backups are as they were.',
    action: 'Do what the text says; then try again.',
    retry: 'new id',
  },
  INTERNAL_ERROR: {
    meaning: 'A defect of the server; only this command was ended by it.',
    action: 'Report it; then decide whether to try again.',
    retry: 'new id',
  },
  UNSUPPORTED: {
    meaning:
      "The session's engine, or this version of the server, cannot do this; over HTTP: there is nothing at this path.",
    action: 'Look at `capabilities` in `get_state`; the text names what is missing.',
    retry: 'never',
  },
} as const satisfies Record<string, ErrorRow>;

/** A code of the table. */
export type ErrorCode = keyof typeof errors;

/** The codes, in the order of the table. */
export const errorCodes = Object.keys(errors) as readonly ErrorCode[];

/** Whether a text is one of the codes. */
export function isErrorCode(code: string): code is ErrorCode {
  return Object.hasOwn(errors, code);
}

/** The table as Markdown, for `docs/ERRORS.md`. */
export function errorTable(): string {
  const rows = errorCodes.map((code) => {
    const { meaning, action, retry } = errors[code];
    return `| \`${code}\` | ${meaning} | ${action} | ${retry} |`;
  });
  return ['| Code | Meaning | What a client should do | Retry |', '|---|---|---|---|', ...rows, ''].join('\n');
}
