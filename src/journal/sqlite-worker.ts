/**
 * The thread that owns the database, so that the event loop never waits for a disk.
 *
 * Messages are taken in the order in which they were sent. Batches that wait are committed together with one sync; a
 * question in between is answered from what was committed before it. The lock on the directory is not held here but on the
 * event loop, so that no other server can slip in when this thread dies and another one takes its place. State: volatile.
 */
import { statSync } from 'node:fs';
import { dirname } from 'node:path';
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { JournalRefused } from '../../actors/ports.ts';
import type { Database } from 'better-sqlite3';
import { HeadFiles } from './head-files.ts';
import type { KnownHead } from './head-files.ts';
import type { LaneLedger } from './lane-ledger.ts';
import { DerivedDesk } from './sqlite-derived-desk.ts';
import { SqliteEntries } from './sqlite-entries.ts';
import { openJournalFile, reopenJournalFile } from './sqlite-file.ts';
import { inspectJournal } from './sqlite-inspection.ts';
import { refusalOf, refusals } from './sqlite-refusal.ts';
import { packedCount } from './sqlite-wire.ts';
import type { FromWorker, PackedRecords, ToWorker } from './sqlite-wire.ts';

/** What waits goes into one transaction up to here, so that the oldest does not wait for too much. */
const TRANSACTION_ENTRIES_MAX = 4_096;
const TRANSACTION_CHARS_MAX = 16 * 1024 * 1024;

/** The head file is synced by itself: that often, and at a stop. */
const HEAD_EVERY_ENTRIES = 4_096;

function serve(port: MessagePort, path: string, opened: SqliteEntries): void {
  const file = inodeOf(path);
  const headFiles = new HeadFiles(dirname(path));
  let headOffset = opened.offset;
  let entries = opened;
  let waiting: PackedRecords[] = [];
  let waitingEntries = 0;
  let waitingChars = 0;
  let failed = false;

  const answer = (message: FromWorker): void => port.postMessage(message);

  const fail = (message: string): void => {
    failed = true;
    answer({ type: 'failed', message });
  };

  const refuse = (id: number, error: unknown): void =>
    answer({ type: 'unread', id, message: refusalOf(path, error).message });

  const desk = new DerivedDesk(answer, refuse, () => {
    try {
      entries.startLogAnew();
    } catch {
      // A disk that does not even take this fails the next commit as well, and then the journal is opened again.
    }
  });

  const commit = (): void => {
    if (waiting.length === 0) return;
    const { batches, failure } = entries.commit(waiting);
    waiting = [];
    waitingEntries = 0;
    waitingChars = 0;
    if (batches > 0) {
      headFiles.acknowledge(entries);
      answer(batches);
      if (entries.offset - headOffset >= HEAD_EVERY_ENTRIES) writeHead();
    }
    if (failure !== undefined) fail(`${path} cannot be written: ${failure.message}`);
  };

  const writeHead = (): void => {
    try {
      const known = entries.known();
      if (known !== undefined) headFiles.write(known);
    } catch {
      // The one before stays, and knows less. What is committed does not depend on it.
    }
    headOffset = entries.offset;
  };

  const append = (batch: PackedRecords): void => {
    if (failed) return;
    waiting.push(batch);
    waitingEntries += packedCount(batch);
    waitingChars += batch.text.length;
    if (waitingEntries >= TRANSACTION_ENTRIES_MAX || waitingChars >= TRANSACTION_CHARS_MAX) commit();
  };

  const read = (id: number, question: () => FromWorker): void => {
    try {
      answer(question());
    } catch (error) {
      refuse(id, error);
    }
  };

  const reopen = (id: number): void => {
    try {
      if (inodeOf(path) !== file) throw new JournalRefused(refusals.replaced(path));
      const next = openAgain(path, entries);
      // Only now: as long as another connection is refused, this one answers questions.
      entries.abandon();
      entries = next;
      failed = false;
      answer({ type: 'reopened', id, offset: entries.offset });
    } catch (error) {
      refuse(id, error);
    }
  };

  const close = (): void => {
    entries.close();
    headFiles.stop(entries.known(true));
    port.close();
  };

  const take = (message: ToWorker): void => {
    if (message.type === 'append') return append(message);
    if (message.type === 'keepSnapshot' && desk.gather(message)) return;
    commit();
    desk.flush(entries, failed);
    switch (message.type) {
      case 'fail':
        if (!failed) fail(`${path} cannot be written: ${message.message}`);
        break;
      case 'scan':
        read(message.id, () => ({ type: 'page', id: message.id, ...entries.page(message) }));
        break;
      case 'head':
        read(message.id, () => ({ type: 'head', id: message.id, laneSeq: entries.laneSeq(message.lane) }));
        break;
      case 'blank':
        read(message.id, () => ({ type: 'blanked', id: message.id, ...entries.blank(message) }));
        break;
      case 'erase':
        read(message.id, () => ({ type: 'erased', id: message.id, erased: entries.erase() }));
        break;
      case 'reopen':
        reopen(message.id);
        break;
      case 'keepSnapshot':
        // It was the last one of those that were gathered.
        break;
      case 'snapshot':
      case 'keepPart':
      case 'seal':
      case 'checkpoints':
      case 'part':
      case 'drop':
      case 'lanes':
      case 'anchors':
      case 'remains':
      case 'trim':
      case 'size':
        desk.take(message, entries, failed);
        // What a head file knows of what was dropped since says nothing any more.
        if (message.type === 'drop') writeHead();
        break;
      case 'close':
        close();
        break;
      default:
        message satisfies never;
    }
  };

  port.on('message', (first: ToWorker) => {
    take(first);
    for (let next = receiveMessageOnPort(port); next !== undefined; next = receiveMessageOnPort(port)) {
      take(next.message as ToWorker);
    }
    commit();
    desk.flush(entries, failed);
  });
  answer({ type: 'opened', offset: entries.offset });
}

function inodeOf(path: string): bigint | undefined {
  return statSync(path, { bigint: true, throwIfNoEntry: false })?.ino;
}

function open(port: MessagePort, path: string): void {
  try {
    const isThere = statSync(path, { throwIfNoEntry: false }) !== undefined;
    const found = isThere ? inspectJournal(path) : undefined;
    serve(port, path, connect(path, openJournalFile(path, found?.logIsTorn), found?.head));
  } catch (error) {
    if (!(error instanceof JournalRefused)) throw error;
    port.postMessage({ type: 'refused', message: error.message } satisfies FromWorker);
    port.close();
  }
}

/** @throws JournalRefused when less is there than the connection that failed had committed. */
function openAgain(path: string, before: SqliteEntries): SqliteEntries {
  const entries = connect(path, reopenJournalFile(path), undefined, before.ledger);
  if (entries.offset >= before.offset) return entries;
  entries.abandon();
  throw new JournalRefused(refusals.damaged(path, `offset ${entries.offset + 1} is missing`));
}

function connect(path: string, database: Database, head?: KnownHead, ledger?: LaneLedger): SqliteEntries {
  try {
    return new SqliteEntries(database, head, ledger);
  } catch (error) {
    database.close();
    throw refusalOf(path, error);
  }
}

if (parentPort === null) throw new Error('sqlite-worker runs as a thread of sqlite.ts');
open(parentPort, (workerData as { readonly journalPath: string }).journalPath);
