/**
 * A checkpoint: what a boot needs of everything before it, in parts that are small enough for the event loop.
 *
 * It is derived from memory while memory goes on, and stands for the offset at which it was begun: what happened meanwhile is
 * behind that offset, is folded by the boot that uses it, and comes to the same. Of another fold, or another form, nothing is
 * taken over. State: derivable.
 */
import type { Limits } from './limits.ts';
import { makerOf } from './session/snapshot.ts';

/** Commands that are known, and what is known of them: `rows` has the number of its row for each key. */
export interface KnownPart {
  readonly kind: 'known';
  readonly keys: readonly string[];
  readonly rows: readonly number[];
  /** Offset, version (-1: none), number of the type, success (1 or 0), for each row. */
  readonly settled: readonly number[];
  readonly types: readonly string[];
}

/** Sessions in order of creation. `busy` ones are in the middle of something: they are brought into memory. */
export interface SessionsPart {
  readonly kind: 'sessions';
  readonly ids: readonly string[];
  readonly records: readonly string[];
  readonly busy: readonly string[];
}

/** Names of sessions that expired, in that order. */
export interface ExpiredPart {
  readonly kind: 'expired';
  readonly names: readonly string[];
}

export type CheckpointPart = KnownPart | SessionsPart | ExpiredPart;

export interface CheckpointHeader {
  readonly boot: number;
  /** Newest entry of the server's journal lane. */
  readonly serverLaneSeq: number;
  /** Commands without an outcome: offsets of their acceptances, and attempts that were started. */
  readonly open: readonly (readonly [offset: number, attempts: number])[];
  /** Outcomes that were recorded up to here. */
  readonly outcomes: number;
}

const FORM = 1;

export function writeHeader(header: CheckpointHeader, limits: Limits): string {
  return JSON.stringify({ form: FORM, maker: makerOf(limits), ...header });
}

/** The header, or why it can't be used. */
export function readHeader(text: string, limits: Limits): CheckpointHeader | string {
  const { form, maker, ...header } = JSON.parse(text) as CheckpointHeader & { form: unknown; maker: object };
  if (form !== FORM) return `its form is ${String(form)}`;
  return JSON.stringify(maker) === JSON.stringify(makerOf(limits)) ? header : 'it is of another fold';
}

export function writePart(part: CheckpointPart): Uint8Array {
  return new TextEncoder().encode(JSON.stringify(part));
}

export function readPart(bytes: Uint8Array): CheckpointPart {
  return JSON.parse(new TextDecoder().decode(bytes)) as CheckpointPart;
}
