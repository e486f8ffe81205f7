/**
 * The frames that a server sends, as schemas: what a client may rely on.
 *
 * They are strict, so that a test of the server sees a field that nobody documented; a client must ignore fields and frames
 * that it does not know. State: none.
 */
import { z } from 'zod';
import { errorCodes } from './errors.ts';
import type { ErrorCode } from './errors.ts';

const count = z.int().min(0);
const errorCode = z.enum(errorCodes as [ErrorCode, ...ErrorCode[]]);

/** One wrong field of a command. */
const detail = z.strictObject({
  path: z.string(),
  code: z.enum(['required', 'invalid', 'too_deep', 'unknown_command']),
  message: z.string(),
});

const answered = {
  type: z.literal('response'),
  command: z.string(),
  /** As sent, whatever it was. */
  id: z.unknown().optional(),
  sessionVersion: count.optional(),
  replayed: z.literal(true).optional(),
  /** The journal can't be written: this is what was durable before. */
  stale: z.literal(true).optional(),
  /** It acted, and nothing of it is recorded, because the journal can't be written. */
  durable: z.literal(false).optional(),
};

/** The answer to a command; a failed one has no `sessionVersion`. */
export const responseFrame = z.discriminatedUnion('success', [
  z.strictObject({
    ...answered,
    success: z.literal(true),
    data: z.unknown().optional(),
    /** The journal does not keep any more what was answered at first. */
    details: z.strictObject({ redacted: z.literal(true) }).optional(),
  }),
  z.strictObject({
    ...answered,
    success: z.literal(false),
    error: z.string(),
    errorCode,
    timedOut: z.literal(true).optional(),
    details: z.union([z.array(detail), z.record(z.string(), z.unknown())]).optional(),
  }),
]);

const identity = {
  commandId: z.string().min(1),
  commandType: z.string().min(1),
  sessionId: z.string().optional(),
  dependsOn: z.array(z.string()),
  ifSessionVersion: count.optional(),
  idempotencyKey: z.string().optional(),
};

/** A command was admitted. */
export const acceptedFrame = z.strictObject({ type: z.literal('command_accepted'), data: z.strictObject(identity) });

/** A command runs. */
export const startedFrame = z.strictObject({ type: z.literal('command_started'), data: z.strictObject(identity) });

const finished = { ...identity, sessionVersion: count.optional(), replayed: z.literal(true).optional() };

/** A command has its outcome. */
export const finishedFrame = z.strictObject({
  type: z.literal('command_finished'),
  data: z.discriminatedUnion('success', [
    z.strictObject({ ...finished, success: z.literal(true) }),
    z.strictObject({
      ...finished,
      success: z.literal(false),
      error: z.string(),
      errorCode,
      timedOut: z.literal(true).optional(),
    }),
  ]),
});

/** An event of a session. `seq` is its number, or, of an ephemeral one, the number of the durable event before it. */
export const eventFrame = z.strictObject({
  type: z.literal('event'),
  sessionId: z.string(),
  event: z.looseObject({ type: z.string() }),
  epoch: z.string().regex(/^[^:]+$/),
  seq: count,
  ephemeral: z.literal(true).optional(),
});

/** Every other frame. */
export const noticeFrame = z.strictObject({
  type: z.enum([
    'server_ready',
    'startup_recovery_summary',
    'server_shutdown',
    'session_created',
    'session_deleted',
    'session_synced',
    'session_gap',
    'session_lagging',
  ]),
  data: z.looseObject({}),
});

/** Any frame that a server sends. */
export const outgoingFrame = z.union([
  responseFrame,
  acceptedFrame,
  startedFrame,
  finishedFrame,
  eventFrame,
  noticeFrame,
]);
