/**
 * Outcomes of commands as answers over HTTP: the body is what the command's response says, the status says it once more for
 * those who look at nothing else. State: none.
 */
import type { ServerResponse } from 'node:http';
import { isErrorCode, type ErrorCode } from '../protocol/errors.ts';

/** A failure, as far as a status is concerned. */
export interface AnswerFrame {
  readonly success?: boolean;
  readonly error?: string;
  readonly errorCode?: string;
  readonly retryAfterMs?: number;
}

const STATUS: Partial<Record<ErrorCode, number>> = {
  VALIDATION_FAILED: 400,
  UNAUTHENTICATED: 401,
  FORBIDDEN: 403,
  SESSION_NOT_FOUND: 404,
  SESSION_QUARANTINED: 409,
  SESSION_EXPIRED: 410,
  CURSOR_EXPIRED: 410,
  RATE_LIMITED: 429,
  TOO_MANY_PENDING: 429,
  TOO_MANY_SUBSCRIPTIONS: 429,
  MAILBOX_FULL: 429,
  UNSUPPORTED: 501,
  SHUTTING_DOWN: 503,
  JOURNAL_UNAVAILABLE: 503,
  COMMAND_TIMEOUT: 504,
};

const RETRY_AFTER_S = 1;

/** No room for another connection is no fault of the one who asks: 503, as at the upgrade. */
export function answerFrame(response: ServerResponse, frame: AnswerFrame, text: string, noRoom = false): void {
  const code = frame.errorCode ?? '';
  const status = noRoom ? 503 : ((isErrorCode(code) ? STATUS[code] : undefined) ?? 500);
  const again = status === 429 || status === 503;
  const seconds = frame.retryAfterMs === undefined ? RETRY_AFTER_S : Math.ceil(frame.retryAfterMs / 1000);
  answerBody(response, status, `${text}\n`, again ? { 'Retry-After': String(seconds) } : {});
}

/** Answers with JSON. */
export function answerBody(
  response: ServerResponse,
  status: number,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): void {
  response.writeHead(status, {
    'Content-Type': 'application/json; charset=utf-8',
    'Content-Length': String(Buffer.byteLength(body)),
    'X-Content-Type-Options': 'nosniff',
    'Cache-Control': 'no-store',
    ...headers,
  });
  response.end(body);
}
