/**
 * What housekeeping did: the last runs, and when each task last succeeded. It is read from the journal once after a start, in the
 * background, and then kept. State: rebuildable.
 */
import type { HousekeepingFinished } from './entry.ts';
import { SERVER_LANE } from './entry.ts';
import type { HousekeepingRun, HousekeepingTask } from './message.ts';
import type { Journal } from './ports.ts';

const RUNS_MAX = 20;
const PAGE_ENTRIES = 1_000;

export class HousekeepingLog {
  #runs: HousekeepingRun[] = [];
  readonly #succeededAt = new Map<HousekeepingTask, number>();

  /** Newest last. */
  get runs(): readonly HousekeepingRun[] {
    return this.#runs;
  }

  /** When the last run that succeeded was over. */
  succeededAt(task: HousekeepingTask): number | undefined {
    return this.#succeededAt.get(task);
  }

  last(task: HousekeepingTask): HousekeepingRun | undefined {
    return this.#runs.findLast((run) => run.task === task);
  }

  add(run: HousekeepingRun): void {
    this.#runs.push(run);
    if (this.#runs.length > RUNS_MAX) this.#runs.shift();
    if (run.ok) this.#succeededAt.set(run.task, run.startedAt + run.tookMs);
  }

  /** What earlier boots did; what was added meanwhile came later. */
  async read(journal: Journal): Promise<void> {
    const found: HousekeepingRun[] = [];
    for (let after = 0; ;) {
      const page = await journal.scan({ lane: SERVER_LANE, after, limit: PAGE_ENTRIES });
      for (const { entry } of page) if (entry.kind === 'housekeeping.finished') found.push(runOf(entry));
      const last = page.at(-1);
      if (last === undefined) break;
      after = last.entry.offset;
    }
    const here = this.#runs.filter((run) => !found.some((known) => isSame(known, run)));
    this.#runs = [];
    this.#succeededAt.clear();
    for (const run of [...found, ...here]) this.add(run);
  }
}

function runOf({ task, ok, trigger, startedAt, tookMs, content }: HousekeepingFinished): HousekeepingRun {
  return { task, ok, trigger, startedAt, tookMs, ...content };
}

function isSame(a: HousekeepingRun, b: HousekeepingRun): boolean {
  return a.task === b.task && a.startedAt === b.startedAt && a.tookMs === b.tookMs;
}
