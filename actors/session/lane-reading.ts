/**
 * Folds the journal lane of one session up to its end: from its newest snapshot if that can be trusted, else from where the lane
 * begins.
 *
 * The one way by which a session that is not in memory gets there: when somebody asks for it, when a boot needs it, when a
 * defect showed in it. What can't be folded sets the session aside. State: rebuildable.
 */
import { sessionLane } from '../entry.ts';
import type { Entry } from '../entry.ts';
import type { Intent } from '../host.ts';
import type { Runtime } from '../runtime.ts';
import { foldEntry, wakeFolded } from './fold.ts';
import type { FoldTarget } from './fold.ts';
import type { Quarantine } from './head.ts';
import { Session } from './session.ts';
import { foldOf } from './snapshot.ts';

const PAGE_ENTRIES = 4096;

/** Who the session is folded for. */
export interface LaneReader {
  readonly id: string;
  readonly perform: (intent: Intent, session: Session) => void;
  /** Given up meanwhile: what is made of it now would be stopped by nobody. */
  readonly isFrozen: boolean;
}

export interface LaneReadingOptions {
  /** A defect showed: what memory was taken from is not to be trusted either. */
  readonly anew?: true;
  readonly onEntry?: (entry: Entry) => void;
}

export class LaneReading implements FoldTarget {
  readonly id: string;
  readonly lane: string;
  session: Session | undefined;
  quarantine: Quarantine | undefined;
  readonly #runtime: Runtime;
  readonly #owner: LaneReader;
  #offset = 0;
  #laneSeq = 0;

  constructor(runtime: Runtime, owner: LaneReader) {
    this.#runtime = runtime;
    this.#owner = owner;
    this.id = owner.id;
    this.lane = sessionLane(owner.id);
  }

  get perform(): LaneReader['perform'] {
    return this.#owner.perform;
  }

  /** Where the lane ends; 0 when there is none. */
  get laneSeq(): number {
    return this.#laneSeq;
  }

  /** @throws what the journal can't be read for. Nothing is left of the session then, nor when its owner is given up. */
  async run({ anew, onEntry }: LaneReadingOptions = {}): Promise<void> {
    const { journal } = this.#runtime;
    try {
      await this.#begin(anew === true);
      for (;;) {
        const range = { after: this.#offset, limit: PAGE_ENTRIES, lane: this.lane };
        const page = await journal.scan(onEntry === undefined ? { ...range, toFold: true } : range);
        const last = page.at(-1)?.entry;
        if (last === undefined || this.#owner.isFrozen) break;
        for (const { entry } of page) {
          onEntry?.(entry);
          foldEntry(this.#runtime, this, entry);
        }
        this.#offset = last.offset;
        this.#laneSeq = last.laneSeq;
      }
    } catch (error) {
      this.drop();
      throw error;
    }
    if (this.#owner.isFrozen) this.drop();
    else wakeFolded(this);
  }

  take({ session, quarantine }: Pick<FoldTarget, 'session' | 'quarantine'>): void {
    this.session = session;
    this.quarantine = quarantine;
  }

  drop(): void {
    this.session?.stop();
    this.session = undefined;
    this.quarantine = undefined;
  }

  /** Where folding begins, and with what: the newest snapshot, or the beginning of the lane with nothing. */
  async #begin(anew: boolean): Promise<void> {
    if (anew) return;
    const { journal, limits } = this.#runtime;
    try {
      const kept = await journal.snapshot(this.lane);
      if (kept === undefined || this.#owner.isFrozen) return;
      const fold = foldOf(kept, limits);
      if (typeof fold === 'string') return this.#passOver(fold);
      this.session = new Session(this.#runtime, this.id, fold.state.engine, this.perform, fold);
      this.#offset = fold.offset;
      this.#laneSeq = fold.laneSeq;
    } catch (error) {
      this.#passOver(error instanceof Error ? error.message : String(error));
    }
  }

  #passOver(reason: string): void {
    const { counters, telemetry } = this.#runtime;
    counters.snapshots.unfit += 1;
    telemetry.observe({ level: 'warn', message: 'snapshot passed over: folding anew', reason, sessionId: this.id });
  }
}
