/**
 * What is wrong with a frame, as the base protocol says it: `field: message; field: message`, and the same as data.
 *
 * Values are never quoted: they may be secret. State: none.
 */
import type { z } from 'zod';
import type { Failure, Json } from '../../actors/message.ts';
import type { ErrorCode } from '../protocol/errors.ts';
import { refusal } from './command.ts';

/** One wrong field; `path` is empty for the frame itself. */
export interface Offence {
  readonly path: readonly PropertyKey[];
  /** `required`: it is missing. `invalid`: it is there and wrong. */
  readonly code: 'required' | 'invalid' | 'too_deep' | 'unknown_command';
  readonly message: string;
}

/** More are counted and not listed, so that a frame can't ask for an answer larger than itself. */
const OFFENCES_LISTED_MAX = 64;

export function offencesOf(frame: object, error: z.ZodError): Offence[] {
  return error.issues.map(({ path, message }) => ({
    path,
    code: isThere(frame, path) ? 'invalid' : 'required',
    message,
  }));
}

function isThere(frame: object, path: readonly PropertyKey[]): boolean {
  let value: unknown = frame;
  for (const key of path) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, key)) return false;
    value = (value as Record<PropertyKey, unknown>)[key];
  }
  return true;
}

export function refuseOffences(code: ErrorCode, offences: readonly Offence[]): Failure {
  const listed = offences.slice(0, OFFENCES_LISTED_MAX);
  const texts = listed.map(({ path, message }) => `${fieldText(path)}: ${message}`);
  if (offences.length > listed.length) texts.push(`and ${offences.length - listed.length} more`);
  const details: Json = listed.map(({ path, code, message }) => ({ path: path.map(String).join('.'), code, message }));
  return refusal(code, `Validation failed: ${texts.join('; ')}`, details);
}

/** `dependsOn[0]`, `response.method`, `root`. */
function fieldText(path: readonly PropertyKey[]): string {
  if (path.length === 0) return 'root';
  return path.map((key, at) => (typeof key === 'number' ? `[${key}]` : `${at > 0 ? '.' : ''}${String(key)}`)).join('');
}
