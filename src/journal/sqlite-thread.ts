/**
 * One life of the thread that owns the database, seen from the event loop: what was handed over and is not answered yet.
 *
 * Whatever ends the thread, every batch gets its answer, in order, and every question too. State: volatile.
 */
import { Worker } from 'node:worker_threads';
import type { Entry } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import type { LaneSnapshot } from '../../actors/ports.ts';
import { packEntries } from './sqlite-wire.ts';
import type { BlankedPage, BlankPage } from './sqlite-blanking.ts';
import type { DerivedQuestion, FromWorker, PackedPage, PackedRecords, ScanRange, ToWorker } from './sqlite-wire.ts';

type Done = (error?: Error) => void;

interface Question {
  readonly resolve: (answer: never) => void;
  readonly reject: (error: Error) => void;
}

/** Node runs the sources as they are; what is built stands beside it under the other ending. */
const ENDING = import.meta.url.endsWith('.ts') ? '.ts' : '.js';
const WORKER_URL = new URL(`./sqlite-worker${ENDING}`, import.meta.url);

export class JournalThread {
  /** Offset of the newest entry, once the journal is open. */
  readonly opened: Promise<number>;
  /** Resolves when nothing of the thread is left, its database included. */
  readonly ended: Promise<void>;
  readonly #worker: Worker;
  readonly #batches: Done[] = [];
  readonly #questions = new Map<number, Question>();
  #lastQuestion = 0;
  #opening: Question | undefined;
  #failure: Error | undefined;
  #closing = false;
  readonly #tellGone: (error: Error) => void;
  /** Why the thread answers no more. */
  #gone: Error | undefined;

  /** The directory of `journalPath` must be claimed. `gone` is called when the thread ends by itself and no batch says so. */
  constructor(journalPath: string, gone: (error: Error) => void = () => undefined) {
    this.#tellGone = gone;
    this.#worker = new Worker(WORKER_URL, { name: 'journal', workerData: { journalPath } });
    this.opened = new Promise<number>((resolve, reject) => {
      this.#opening = { resolve, reject };
    });
    this.ended = new Promise((resolve) => {
      this.#worker.once('exit', () => {
        this.#end(new Error(this.#closing ? 'the journal is closed' : 'the thread of the journal ended'));
        resolve();
      });
    });
    this.#worker.on('message', (message: FromWorker) => this.#receive(message));
    this.#worker.on('error', (error) =>
      this.#end(new Error(`the thread of the journal ended: ${(error as Error).message}`, { cause: error })),
    );
  }

  /** True while nothing will be written: until `reopen`, or for good when it is gone. */
  get failed(): boolean {
    return this.#failure !== undefined;
  }

  /** True when it answers no more: another thread is needed. */
  get gone(): boolean {
    return this.#gone !== undefined;
  }

  append(entries: readonly Entry[], done: Done): void {
    if (this.#closing) {
      void this.ended.then(() => done(this.#gone));
      return;
    }
    const failure = this.#failure;
    if (failure !== undefined) {
      queueMicrotask(() => done(failure));
      return;
    }
    this.#batches.push(done);
    let packed: PackedRecords;
    try {
      packed = packEntries(entries);
    } catch (error) {
      this.#send({ type: 'fail', message: (error as Error).message });
      return;
    }
    this.#send({ type: 'append', text: packed.text, numbers: packed.numbers });
  }

  scan(range: ScanRange): Promise<PackedPage> {
    return this.#ask((id) => ({ type: 'scan', id, ...range }));
  }

  head(lane: string): Promise<{ readonly laneSeq: number }> {
    return this.#ask((id) => ({ type: 'head', id, lane }));
  }

  blank(page: BlankPage): Promise<BlankedPage> {
    return this.#ask((id) => ({ type: 'blank', id, ...page }));
  }

  async erase(): Promise<boolean> {
    return (await this.#ask<{ readonly erased: boolean }>((id) => ({ type: 'erase', id }))).erased;
  }

  /** Nobody waits for it. */
  keepSnapshot(snapshot: LaneSnapshot, failed: (error: Error) => void): void {
    if (this.#closing || this.#gone !== undefined) {
      queueMicrotask(() => failed(this.#gone ?? new Error('the journal is closed')));
      return;
    }
    this.derived({ type: 'keepSnapshot', ...snapshot }).catch(failed);
  }

  /** Whatever is derived from the entries. */
  derived<Answer>(question: DerivedQuestion): Promise<Answer> {
    return this.#ask<{ readonly answer: Answer }>((id) => ({ ...question, id })).then(({ answer }) => answer);
  }

  /** After a failure: appends go on behind the offset that it resolves with. Rejected, all is as before. */
  async reopen(): Promise<number> {
    return (await this.#ask<{ readonly offset: number }>((id) => ({ type: 'reopen', id }))).offset;
  }

  /** Resolves when the thread has ended, with all that it was given before. */
  close(): Promise<void> {
    if (!this.#closing) this.#send({ type: 'close' });
    this.#closing = true;
    return this.ended;
  }

  #send(message: ToWorker): void {
    this.#worker.postMessage(message);
  }

  #ask<Answer>(question: (id: number) => ToWorker): Promise<Answer> {
    if (this.#closing || this.#gone !== undefined)
      return Promise.reject(this.#gone ?? new Error('the journal is closed'));
    return new Promise((resolve, reject) => {
      this.#lastQuestion += 1;
      this.#questions.set(this.#lastQuestion, { resolve, reject });
      this.#send(question(this.#lastQuestion));
    });
  }

  #receive(message: FromWorker): void {
    if (typeof message === 'number') {
      for (let count = message; count > 0; count -= 1) this.#batches.shift()?.();
      return;
    }
    switch (message.type) {
      case 'opened':
        this.#opening?.resolve(message.offset as never);
        break;
      case 'refused':
        this.#opening?.reject(new JournalRefused(message.message));
        break;
      case 'failed':
        this.#fail(new Error(message.message));
        break;
      case 'reopened':
        // What the thread was given before this message was all answered with the failure.
        this.#failure = undefined;
        this.#questionOf(message.id)?.resolve(message as never);
        break;
      case 'page':
      case 'head':
      case 'blanked':
      case 'erased':
      case 'derived':
        this.#questionOf(message.id)?.resolve(message as never);
        break;
      case 'unread':
        this.#questionOf(message.id)?.reject(new JournalRefused(message.message));
        break;
      default:
        message satisfies never;
    }
  }

  #questionOf(id: number): Question | undefined {
    const question = this.#questions.get(id);
    this.#questions.delete(id);
    return question;
  }

  #fail(error: Error): void {
    this.#failure ??= error;
    for (const done of this.#batches.splice(0)) done(this.#failure);
  }

  #end(error: Error): void {
    const isTold = this.#closing || this.#gone !== undefined || this.#failure !== undefined || this.#batches.length > 0;
    this.#gone ??= error;
    this.#fail(error);
    this.#opening?.reject(error);
    for (const question of this.#questions.values()) question.reject(error);
    this.#questions.clear();
    if (!isTold) this.#tellGone(error);
  }
}
