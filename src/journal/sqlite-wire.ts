/**
 * What passes between the event loop and the thread that owns the database.
 *
 * Entries travel as one text of everything that is text and one array of everything that is a number: cloning a string and
 * an array of floats is a copy of memory, while cloning objects costs the event loop more than the whole entry may cost.
 */
import type { Entry, EntryKind } from '../../actors/entry.ts';
import type { CheckpointHead, LaneSnapshot } from '../../actors/ports.ts';
import { RECORD_VERSION, encodeContent, encodeMeta } from './entry.ts';
import type { EntryRecord } from './entry.ts';
import type { BlankedPage, BlankPage } from './sqlite-blanking.ts';

/** Records laid end to end. */
export interface PackedRecords {
  /** Lane, meta and content of each record. */
  readonly text: string;
  /** `WIDTH` numbers for each record. */
  readonly numbers: Float64Array;
}

/** A page of stored records with what was computed when they were stored. */
export interface PackedPage extends PackedRecords {
  /** `HASHES` of `HASH_CHARS` for each record: its own, its fingerprint and its content's digest, blank where there is none. */
  readonly hashes: string;
}

export type ToWorker =
  | (PackedRecords & { readonly type: 'append' })
  /** A batch that could not be written down: it fails in its turn, behind those that went before. */
  | { readonly type: 'fail'; readonly message: string }
  | ({ readonly type: 'scan'; readonly id: number } & ScanRange)
  | { readonly type: 'head'; readonly id: number; readonly lane: string }
  | ({ readonly type: 'blank'; readonly id: number } & BlankPage)
  /** What was blanked goes from the log as well. */
  | { readonly type: 'erase'; readonly id: number }
  | (DerivedQuestion & { readonly id: number })
  /** After a failure: another connection takes the place of the one that failed. */
  | { readonly type: 'reopen'; readonly id: number }
  | { readonly type: 'close' };

/** About what is derived from the entries, and about lanes as a whole. */
export type DerivedQuestion =
  | { readonly type: 'drop'; readonly lane: string; readonly before: number; readonly limit: number }
  | { readonly type: 'lanes'; readonly after: string; readonly limit: number }
  | { readonly type: 'anchors' }
  | { readonly type: 'remains'; readonly after: number; readonly limit: number }
  | { readonly type: 'trim'; readonly max: number; readonly limit: number }
  | { readonly type: 'size' }
  | ({ readonly type: 'keepSnapshot' } & LaneSnapshot)
  | { readonly type: 'snapshot'; readonly lane: string }
  | { readonly type: 'keepPart'; readonly offset: number; readonly part: number; readonly bytes: Uint8Array }
  | ({ readonly type: 'seal' } & CheckpointHead)
  | { readonly type: 'checkpoints' }
  | { readonly type: 'part'; readonly offset: number; readonly part: number };

export interface ScanRange {
  readonly after: number;
  readonly limit: number;
  readonly lane: string | undefined;
}

export type FromWorker =
  | { readonly type: 'opened'; readonly offset: number }
  | { readonly type: 'refused'; readonly message: string }
  /** So many batches, the oldest first, are durable. */
  | number
  /** The batch behind the last durable one failed, and nothing will be written until the journal is opened again. */
  | { readonly type: 'failed'; readonly message: string }
  | (PackedPage & { readonly type: 'page'; readonly id: number })
  | { readonly type: 'head'; readonly id: number; readonly laneSeq: number }
  | ({ readonly type: 'blanked'; readonly id: number } & BlankedPage)
  | { readonly type: 'erased'; readonly id: number; readonly erased: boolean }
  /** The answer to a question about what is derived. */
  | { readonly type: 'derived'; readonly id: number; readonly answer: unknown }
  | { readonly type: 'reopened'; readonly id: number; readonly offset: number }
  /** The question has no answer: a line for people, with the file and the remedy. */
  | { readonly type: 'unread'; readonly id: number; readonly message: string };

export const HASH_CHARS = 64;
export const HASHES = 3;

/** version, offset, laneSeq, at, kind, lengths of lane, meta and content. */
const WIDTH = 8;

const KIND_NUMBER: Readonly<Record<EntryKind, number>> = {
  'command.accepted': 0,
  'command.started': 1,
  'command.settled': 2,
  'command.finished': 3,
  'session.event': 4,
  'turn.released': 5,
  'server.started': 6,
  'server.recovered': 7,
  'server.stopped': 8,
  'journal.restored': 9,
  'session.restored': 10,
  'housekeeping.finished': 11,
  'lease.extended': 12,
  'session.expired': 13,
  'session.purged': 14,
  'read.audited': 15,
  'lane.compacted': 16,
};
export const KINDS = Object.keys(KIND_NUMBER) as readonly EntryKind[];

/** False for an entry of a later version: it could not be sent. */
export function isKind(kind: string): boolean {
  return Object.hasOwn(KIND_NUMBER, kind);
}

/** Encodes on the way: no record object is built for an entry. */
export function packEntries(entries: readonly Entry[]): PackedRecords {
  const numbers = new Float64Array(entries.length * WIDTH);
  let text = '';
  let at = 0;
  for (const entry of entries) {
    const meta = encodeMeta(entry);
    const content = encodeContent(entry);
    text += entry.lane + meta + content;
    number(numbers, at, RECORD_VERSION, entry, meta, content);
    at += WIDTH;
  }
  return { text, numbers };
}

export function packRecords(records: readonly EntryRecord[]): PackedRecords {
  const numbers = new Float64Array(records.length * WIDTH);
  let text = '';
  let at = 0;
  for (const record of records) {
    text += record.lane + record.meta + record.content;
    number(numbers, at, record.version, record, record.meta, record.content);
    at += WIDTH;
  }
  return { text, numbers };
}

function number(
  numbers: Float64Array,
  at: number,
  version: number,
  place: Pick<EntryRecord, 'offset' | 'lane' | 'laneSeq' | 'at' | 'kind'>,
  meta: string,
  content: string,
): void {
  numbers[at] = version;
  numbers[at + 1] = place.offset;
  numbers[at + 2] = place.laneSeq;
  numbers[at + 3] = place.at;
  numbers[at + 4] = KIND_NUMBER[place.kind];
  numbers[at + 5] = place.lane.length;
  numbers[at + 6] = meta.length;
  numbers[at + 7] = content.length;
}

export function packedCount({ numbers }: PackedRecords): number {
  return numbers.length / WIDTH;
}

/** Offset of the last record; there must be one. */
export function lastOffset({ numbers }: PackedRecords): number {
  return numbers[numbers.length - WIDTH + 1] as number;
}

export function unpack({ text, numbers }: PackedRecords): EntryRecord[] {
  const records: EntryRecord[] = [];
  const numberAt = (index: number): number => numbers[index] as number;
  let from = 0;
  for (let at = 0; at < numbers.length; at += WIDTH) {
    const laneEnd = from + numberAt(at + 5);
    const metaEnd = laneEnd + numberAt(at + 6);
    const contentEnd = metaEnd + numberAt(at + 7);
    records.push({
      version: numberAt(at),
      offset: numberAt(at + 1),
      lane: text.slice(from, laneEnd),
      laneSeq: numberAt(at + 2),
      at: numberAt(at + 3),
      kind: KINDS[numberAt(at + 4)] as EntryKind,
      meta: text.slice(laneEnd, metaEnd),
      content: text.slice(metaEnd, contentEnd),
    });
    from = contentEnd;
  }
  return records;
}
