/**
 * Takes questions about what is derived from the entries, in the thread that owns the database.
 *
 * Snapshots are gathered while commits are under way and written in one transaction when nothing more urgent waits. What can
 * not be written is told to who wanted it kept, and fails nothing else. State: volatile.
 */
import type { LaneSnapshot } from '../../actors/ports.ts';
import type { SqliteEntries } from './sqlite-entries.ts';
import type { DerivedQuestion, FromWorker } from './sqlite-wire.ts';

interface Waiting extends LaneSnapshot {
  readonly id: number;
}

/** More are not gathered: the thread has to get back to its commits. */
const GATHERED_MAX = 256;
const GATHERED_CHARS_MAX = 4 * 1024 * 1024;

export class DerivedDesk {
  readonly #answer: (message: FromWorker) => void;
  readonly #refuse: (id: number, error: unknown) => void;
  /** What a transaction that failed leaves in the log must not stay there. */
  readonly #cleanUp: () => void;
  #gathered: Waiting[] = [];
  #chars = 0;

  constructor(
    answer: (message: FromWorker) => void,
    refuse: (id: number, error: unknown) => void,
    cleanUp: () => void,
  ) {
    this.#answer = answer;
    this.#refuse = refuse;
    this.#cleanUp = cleanUp;
  }

  /** True when it waits for nothing but `flush`. */
  gather(question: DerivedQuestion & { readonly id: number }): boolean {
    if (question.type !== 'keepSnapshot') return false;
    this.#gathered.push(question);
    this.#chars += question.body.length;
    return this.#gathered.length < GATHERED_MAX && this.#chars < GATHERED_CHARS_MAX;
  }

  /** Writes what was gathered. `failed`: the journal takes nothing now. */
  flush({ derived }: SqliteEntries, failed: boolean): void {
    if (this.#gathered.length === 0) return;
    const gathered = this.#gathered;
    this.#gathered = [];
    this.#chars = 0;
    try {
      if (failed) throw new Error('the journal can not be written');
      derived.keepSnapshots(gathered);
      for (const { id } of gathered) this.#answer({ type: 'derived', id, answer: undefined });
    } catch (error) {
      if (!failed) this.#cleanUp();
      for (const { id } of gathered) this.#refuse(id, error);
    }
  }

  /** Whatever is not to be gathered. */
  take(question: DerivedQuestion & { readonly id: number }, entries: SqliteEntries, failed: boolean): void {
    const writes = WRITES.has(question.type);
    try {
      if (writes && failed) throw new Error('the journal can not be written');
      this.#answer({ type: 'derived', id: question.id, answer: answerTo(question, entries) });
    } catch (error) {
      if (writes && !failed) this.#cleanUp();
      this.#refuse(question.id, error);
    }
  }
}

const WRITES: ReadonlySet<DerivedQuestion['type']> = new Set(['keepPart', 'seal', 'drop', 'trim']);

function answerTo(question: DerivedQuestion, entries: SqliteEntries): unknown {
  const { anchors, derived, ledger, offset } = entries;
  switch (question.type) {
    case 'snapshot':
      return derived.snapshot(question.lane);
    case 'keepPart':
      return derived.keepPart(question.offset, question.part, question.bytes);
    case 'seal':
      return derived.seal(question, ledger.export());
    case 'checkpoints':
      return derived.checkpoints(offset);
    case 'part':
      return derived.part(question.offset, question.part);
    case 'drop':
      return anchors.drop(question.lane, question.before, question.limit);
    case 'anchors':
      return anchors.all;
    case 'remains':
      return anchors.remains.page(question.after, question.limit);
    case 'trim':
      return anchors.trim(question.max, question.limit);
    case 'size':
      return entries.size();
    case 'lanes':
      return entries.laneNames(question.after, question.limit);
    default:
      return undefined;
  }
}
