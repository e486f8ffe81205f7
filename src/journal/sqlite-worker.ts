/**
 * The thread that owns the database, so that the event loop never waits for a disk.
 *
 * Messages are taken in the order in which they were sent. Batches that wait are committed together with one sync; a
 * question in between is answered from what was committed before it.
 */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';
import type { MessagePort } from 'node:worker_threads';
import { JournalRefused } from '../../actors/ports.ts';
import { claimDirectory } from './sqlite-directory.ts';
import type { DirectoryClaim } from './sqlite-directory.ts';
import { SqliteEntries } from './sqlite-entries.ts';
import { openJournalFile } from './sqlite-file.ts';
import { refusalOf } from './sqlite-refusal.ts';
import { packedCount } from './sqlite-wire.ts';
import type { FromWorker, PackedRecords, ToWorker } from './sqlite-wire.ts';

/** What waits goes into one transaction up to here, so that the oldest does not wait for too much. */
const TRANSACTION_ENTRIES_MAX = 4_096;
const TRANSACTION_CHARS_MAX = 16 * 1024 * 1024;

function serve(port: MessagePort, claim: DirectoryClaim, entries: SqliteEntries): void {
  let waiting: PackedRecords[] = [];
  let waitingEntries = 0;
  let waitingChars = 0;
  let failed = false;

  const answer = (message: FromWorker): void => port.postMessage(message);

  const fail = (message: string): void => {
    failed = true;
    answer({ type: 'failed', message });
  };

  const commit = (): void => {
    if (waiting.length === 0) return;
    const { batches, failure } = entries.commit(waiting);
    waiting = [];
    waitingEntries = 0;
    waitingChars = 0;
    if (batches > 0) answer(batches);
    if (failure !== undefined) fail(`${claim.journalPath} cannot be written: ${failure.message}`);
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
      const message = `${claim.journalPath} cannot be read: ${(error as Error).message}`;
      answer({ type: 'unread', id, message });
    }
  };

  const close = (): void => {
    entries.close();
    claim.release();
    port.close();
  };

  const take = (message: ToWorker): void => {
    if (message.type === 'append') return append(message);
    commit();
    switch (message.type) {
      case 'fail':
        if (!failed) fail(`${claim.journalPath} cannot be written: ${message.message}`);
        break;
      case 'scan':
        read(message.id, () => ({ type: 'page', id: message.id, ...entries.page(message) }));
        break;
      case 'head':
        read(message.id, () => ({ type: 'head', id: message.id, laneSeq: entries.laneSeq(message.lane) }));
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
  });
  answer({ type: 'opened', offset: entries.offset });
}

function open(port: MessagePort, dataDir: string): void {
  let claim: DirectoryClaim | undefined;
  try {
    claim = claimDirectory(dataDir);
    const database = openJournalFile(claim.journalPath);
    serve(port, claim, entriesOf(claim.journalPath, database));
  } catch (error) {
    claim?.release();
    if (!(error instanceof JournalRefused)) throw error;
    port.postMessage({ type: 'refused', message: error.message } satisfies FromWorker);
    port.close();
  }
}

function entriesOf(path: string, database: ReturnType<typeof openJournalFile>): SqliteEntries {
  try {
    return new SqliteEntries(database);
  } catch (error) {
    database.close();
    throw refusalOf(path, error);
  }
}

if (parentPort === null) throw new Error('sqlite-worker runs as a thread of sqlite.ts');
open(parentPort, (workerData as { readonly dataDir: string }).dataDir);
