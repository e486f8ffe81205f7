/**
 * The wire contract, for clients and for tools that read frames: what a server sends as schemas and types, the coded errors,
 * what close codes ask for, and the text that a command's fingerprint is taken from. Needs zod and nothing of Node, so it
 * runs in a browser. Each type is inferred from its schema; there is no second description that could differ.
 */
import type { z } from 'zod';
import type {
  acceptedFrame,
  eventFrame,
  finishedFrame,
  noticeFrame,
  outgoingFrame,
  responseFrame,
  startedFrame,
} from './outgoing.ts';

export { canonicalCommand } from './canonical.ts';
export { closeCodes, reconnectHint } from './close-codes.ts';
export type { ReconnectHint } from './close-codes.ts';
export { envelopes } from './envelope.ts';
export { errorCodes, errors, isErrorCode } from './errors.ts';
export type { ErrorCode, Retry } from './errors.ts';
export { frames } from './frames.ts';
export type { FrameCommand, FrameOutcome } from './frames.ts';
export {
  acceptedFrame,
  eventFrame,
  finishedFrame,
  noticeFrame,
  outgoingFrame,
  responseFrame,
  startedFrame,
} from './outgoing.ts';
export { protocolVersion } from './version.ts';

/** Any frame that a server sends; `type` tells them apart. */
export type OutgoingFrame = z.infer<typeof outgoingFrame>;
/** The one answer to a command. */
export type ResponseFrame = z.infer<typeof responseFrame>;
/** A command was admitted: from here on it has exactly one outcome. */
export type AcceptedFrame = z.infer<typeof acceptedFrame>;
/** A command reached the head of its lane and runs. */
export type StartedFrame = z.infer<typeof startedFrame>;
/** The outcome of a command, to all who follow the lifecycle of commands; sent before the response. */
export type FinishedFrame = z.infer<typeof finishedFrame>;
/** An event of a session, to those who are attached to it. */
export type EventFrame = z.infer<typeof eventFrame>;
/** Every other frame: the greeting, sessions that come and go, the end of a catch-up. */
export type NoticeFrame = z.infer<typeof noticeFrame>;
