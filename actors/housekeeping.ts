/**
 * The actor that runs tasks of housekeeping: asks the chart, keeps the timer of what is due next, and tells those who asked how it
 * ended. A run that somebody asks for while it is under way is that run. State: volatile; what was done is in the log.
 */
import type { Actor } from 'xstate';
import { housekeepingMachine } from '../machines/housekeeping.ts';
import type { HousekeepingEvent } from '../machines/housekeeping.ts';
import type { Host, Intent } from './host.ts';
import type { HousekeepingLog } from './housekeeping-log.ts';
import type { HousekeepingRun, Json } from './message.ts';
import type { Clock } from './ports.ts';

export interface HousekeepingParts {
  readonly host: Host;
  readonly clock: Clock;
  readonly log: HousekeepingLog;
  /** `null`: by command alone. */
  readonly backupIntervalMs: number | null;
  readonly backUp: (at: number) => Promise<Json>;
  readonly record: (run: HousekeepingRun) => void;
  /** A defect showed. */
  readonly crashed: (error: unknown) => void;
}

const BACK_OFF = { backOffMs: 60_000, backOffMaxMs: 3_600_000 };
/** Longest wait that a timer of Node can hold. */
const WAIT_MS_MAX = 2 ** 31 - 1;

export class Housekeeping {
  readonly #parts: HousekeepingParts;
  readonly #actor: Actor<typeof housekeepingMachine>;
  #waiting: ((run: HousekeepingRun) => void)[] = [];
  #asked = false;
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
  backUp(): Promise<HousekeepingRun> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      this.#guard(() => {
        if (this.#actor.getSnapshot().can({ type: 'backup.asked' })) this.#asked = true;
        this.#tell({ type: 'backup.asked' });
      });
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
        return this.#run();
      default:
        throw new Error(`Housekeeping does not know how to perform '${type}'.`);
    }
  }

  #schedule(): void {
    const { clock, log, backupIntervalMs } = this.#parts;
    clock.clearTimeout(this.#timer);
    if (backupIntervalMs === null || this.#stopped) return;
    const last = log.succeededAt('backup');
    const wait = last === undefined ? 0 : Math.max(0, last + backupIntervalMs - clock.now());
    this.#timer = clock.setTimeout(
      () => this.#guard(() => this.#tell({ type: 'backup.due' })),
      Math.min(wait, WAIT_MS_MAX),
    );
  }

  #run(): void {
    const { clock, backUp } = this.#parts;
    clock.clearTimeout(this.#timer);
    const startedAt = clock.now();
    const trigger = this.#asked ? 'command' : 'schedule';
    this.#asked = false;
    const head = { task: 'backup', trigger, startedAt } as const;
    backUp(startedAt).then(
      (result) => this.#finish({ ...head, ok: true, tookMs: clock.now() - startedAt, result }),
      (error: unknown) => {
        const text = error instanceof Error ? error.message : String(error);
        this.#finish({ ...head, ok: false, tookMs: clock.now() - startedAt, error: text });
      },
    );
  }

  #finish(run: HousekeepingRun): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    this.#guard(() => {
      if (!this.#stopped) this.#parts.record(run);
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
