/**
 * The actor that runs tasks of housekeeping: asks the chart, keeps the timer of what is due next, and tells those who asked how it
 * ended. A run that somebody asks for while it is under way is that run. State: volatile; what was done is in the log.
 */
import type { Actor } from 'xstate';
import { housekeepingMachine } from '../machines/housekeeping.ts';
import type { HousekeepingEvent } from '../machines/housekeeping.ts';
import type { Host, Intent } from './host.ts';
import type { HousekeepingLog } from './housekeeping-log.ts';
import type { HousekeepingRun, HousekeepingTask, Json } from './message.ts';
import type { Clock } from './ports.ts';

/** Thrown by a task for which something is missing that it does not make itself: nothing was tried, and nothing is broken. */
export class TaskRefused extends Error {
  override readonly name = 'TaskRefused';
}

export interface TaskParts {
  /** `null`: by command alone. */
  readonly intervalMs: number | null;
  /** It is due at each start, whenever it ran before. */
  readonly atStart?: boolean;
  readonly run: (at: number) => Promise<Json>;
}

export interface HousekeepingParts {
  readonly host: Host;
  readonly clock: Clock;
  readonly log: HousekeepingLog;
  readonly tasks: Readonly<Record<HousekeepingTask, TaskParts>>;
  readonly record: (run: HousekeepingRun, refused: boolean) => void;
  /** A defect showed. */
  readonly crashed: (error: unknown) => void;
}

const BACK_OFF = { backOffMs: 60_000, backOffMaxMs: 3_600_000 };
/** Longest wait that a timer of Node can hold. */
const WAIT_MS_MAX = 2 ** 31 - 1;
/** What is due at the same time runs in this order. */
const TASKS = ['backup', 'compaction', 'retention'] as const satisfies readonly HousekeepingTask[];

export class Housekeeping {
  readonly #parts: HousekeepingParts;
  readonly #actor: Actor<typeof housekeepingMachine>;
  /** Who asked by command. */
  readonly #waiting = new Map<HousekeepingTask, ((run: HousekeepingRun) => void)[]>();
  /** Since the start. */
  readonly #begun = new Set<HousekeepingTask>();
  #timer: unknown;
  #stopped = false;

  constructor(parts: HousekeepingParts) {
    this.#parts = parts;
    const { host } = parts;
    let actor: Actor<typeof housekeepingMachine> | undefined;
    const intents = host.collect(() => {
      actor = host.start(housekeepingMachine, 'housekeeping', BACK_OFF, (intent) =>
        this.#guard(() => this.#perform(intent)),
      );
    });
    this.#actor = actor!;
    for (const intent of intents) this.#perform(intent);
  }

  /** Settles with how the run ended, be it the one that is under way. */
  ask(task: HousekeepingTask): Promise<HousekeepingRun> {
    return new Promise((resolve) => {
      this.#waiting.set(task, [...(this.#waiting.get(task) ?? []), resolve]);
      this.#guard(() => this.#tell({ type: `${task}.asked` }));
    });
  }

  /** Nothing is begun any more. Who waits is told when what runs is over. */
  stop(): void {
    this.#stopped = true;
    this.#parts.clock.clearTimeout(this.#timer);
    this.#parts.host.stop(this.#actor);
  }

  #tell(event: HousekeepingEvent): void {
    if (this.#stopped) return;
    for (const intent of this.#parts.host.collect(() => this.#actor.send(event))) this.#perform(intent);
  }

  #perform({ type }: Intent): void {
    switch (type) {
      case 'schedule':
        return this.#schedule();
      case 'backUp':
        return this.#run('backup');
      case 'compact':
        return this.#run('compaction');
      case 'applyRetention':
        return this.#run('retention');
      default:
        throw new Error(`Housekeeping does not know how to perform '${type}'.`);
    }
  }

  #schedule(): void {
    const { clock } = this.#parts;
    clock.clearTimeout(this.#timer);
    if (this.#stopped) return;
    const due = TASKS.map((task) => [this.#waitOf(task), task] as const).filter(([wait]) => wait !== undefined);
    const [next] = due.sort(([one = 0], [other = 0]) => one - other);
    if (next === undefined) return;
    const [wait = 0, task] = next;
    this.#timer = clock.setTimeout(
      () => this.#guard(() => this.#tell({ type: `${task}.due` })),
      Math.min(wait, WAIT_MS_MAX),
    );
  }

  /** Until a task is due; at once when somebody asked for it while another one ran. */
  #waitOf(task: HousekeepingTask): number | undefined {
    const { clock, log, tasks } = this.#parts;
    if ((this.#waiting.get(task) ?? []).length > 0) return 0;
    const { intervalMs, atStart = false } = tasks[task];
    if (intervalMs === null) return undefined;
    if (atStart && !this.#begun.has(task)) return 0;
    const last = log.succeededAt(task);
    return last === undefined ? 0 : Math.max(0, last + intervalMs - clock.now());
  }

  #run(task: HousekeepingTask): void {
    const { clock, tasks } = this.#parts;
    clock.clearTimeout(this.#timer);
    const startedAt = clock.now();
    this.#begun.add(task);
    const trigger = this.#waiting.has(task) ? 'command' : 'schedule';
    const head = { task, trigger, startedAt } as const;
    tasks[task].run(startedAt).then(
      (result) => this.#finish({ ...head, ok: true, tookMs: clock.now() - startedAt, result }),
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        this.#finish(
          { ...head, ok: false, tookMs: clock.now() - startedAt, error: text },
          error instanceof TaskRefused,
        );
      },
    );
  }

  #finish(run: HousekeepingRun, refused = false): void {
    const waiting = this.#waiting.get(run.task) ?? [];
    this.#waiting.delete(run.task);
    this.#guard(() => {
      if (!this.#stopped) this.#parts.record(run, refused);
      this.#tell({ type: run.ok ? 'task.succeeded' : 'task.failed' });
    });
    for (const tell of waiting) tell(run);
  }

  #guard(step: () => void): void {
    try {
      step();
    } catch (error) {
      this.#parts.crashed(error);
    }
  }
}
