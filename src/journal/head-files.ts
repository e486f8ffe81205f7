/**
 * What is known of a journal's end outside of the journal, so that a loss is noticed that leaves a journal which fits:
 *
 *     DATA_DIR/journal.head   JSON, synced and put in place whole: at a clean stop, and now and then while the server runs
 *     DATA_DIR/journal.mark   one line, written over at every commit and never synced: it outlives the process and not
 *                             always the machine, and costs a few microseconds where a sync would cost a commit
 *
 * Both are written when their entry is synced, so a journal may be ahead of them and never behind. One that is missing or does
 * not read says nothing. State: durable, and rebuildable by the next stop.
 */
import { hash as digestOf } from 'node:crypto';
import {
  closeSync,
  constants,
  fsyncSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import { join } from 'node:path';
import type { LedgerTotals } from './lane-ledger.ts';
import { syncDirectory } from './sync-directory.ts';

export const HEAD_FILE = 'journal.head';
export const MARK_FILE = 'journal.mark';

/** An entry that is durable. */
export interface KnownEnd {
  readonly offset: number;
  /** Hex. */
  readonly hash: string;
}

/** The ends of the lanes are written at a clean stop alone. */
export interface KnownHead extends KnownEnd, LedgerTotals {}

export interface KnownEnds {
  readonly head: KnownHead | undefined;
  readonly mark: KnownEnd | undefined;
}

const FORM_VERSION = 1;
/** Within a sector: it is written whole or not at all. */
const MARK_BYTES = 256;
const SUM_DIGITS = 8;

export function readHeadFiles(dir: string): KnownEnds {
  return { head: read<KnownHead>(join(dir, HEAD_FILE)), mark: read(join(dir, MARK_FILE)) };
}

function read<Known extends KnownEnd>(path: string): Known | undefined {
  try {
    const { form, sum, ...known } = JSON.parse(readFileSync(path, 'utf8')) as Known & { form?: unknown; sum?: unknown };
    // A later form may mean something else.
    if (form !== FORM_VERSION) return undefined;
    return sum === sumOf(known) ? (known as unknown as Known) : undefined;
  } catch {
    // Missing, torn or garbage: what it would have said is not known.
    return undefined;
  }
}

function lineOf(known: KnownEnd): string {
  return JSON.stringify({ form: FORM_VERSION, ...known, sum: sumOf(known) });
}

function sumOf(known: object): string {
  return digestOf('sha256', JSON.stringify(known), 'hex').slice(0, SUM_DIGITS);
}

export class HeadFiles {
  readonly #dir: string;
  #mark: number | undefined;

  constructor(dir: string) {
    this.#dir = dir;
  }

  /** This entry is synced, and somebody is going to be told. */
  acknowledge({ offset, hash }: KnownEnd): void {
    const line = lineOf({ offset, hash });
    try {
      // Not emptied when it is opened: a crash in between must not leave less than was known.
      this.#mark ??= openSync(join(this.#dir, MARK_FILE), constants.O_RDWR | constants.O_CREAT, 0o600);
      writeSync(this.#mark, `${line.padEnd(MARK_BYTES - 1)}\n`, 0);
    } catch {
      // The entry is safe with or without it, and whoever committed it must hear that. The mark stays behind.
    }
  }

  /** @throws when it cannot be written; then the one before stays in place. */
  write(known: KnownHead): void {
    const path = join(this.#dir, HEAD_FILE);
    const file = openSync(`${path}.new`, 'w', 0o600);
    try {
      writeFileSync(file, `${lineOf(known)}\n`);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(`${path}.new`, path);
    syncDirectory(this.#dir);
  }

  /** A clean stop. The mark goes: the head says all that it says. `undefined`: they stay as they are. */
  stop(known: KnownHead | undefined): void {
    if (this.#mark !== undefined) closeSync(this.#mark);
    this.#mark = undefined;
    if (known === undefined || known.offset === 0) return;
    try {
      this.write(known);
      rmSync(join(this.#dir, MARK_FILE), { force: true });
    } catch {
      // On a full disk both stay as they are, and are true.
    }
  }
}
