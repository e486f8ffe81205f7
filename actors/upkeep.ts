/**
 * Housekeeping with its supervisor and what it did so far: a branch of the tree that fails alone. When restarting does not help
 * it is left aside, and the server goes on and says so. State: volatile, but for the log.
 */
import type { Core } from './core.ts';
import { SERVER_LANE } from './entry.ts';
import { Housekeeping } from './housekeeping.ts';
import { HousekeepingLog } from './housekeeping-log.ts';
import { failure } from './message.ts';
import type { HousekeepingRun, Json, Outcome } from './message.ts';
import type { Shared } from './runtime.ts';
import { supervisionTree } from './supervision-tree.ts';
import { Supervisor } from './supervisor.ts';

export interface UpkeepOptions {
  /** `null`: backups are made by command alone. */
  readonly backupIntervalMs: number | null;
}

/** A backup is stale when it is older than so many intervals: one may be under way, and one may have failed. */
const STALE_INTERVALS = 2;

const upkeepSpec = supervisionTree.children[4];

export class Upkeep {
  readonly #shared: Omit<Shared, 'server'>;
  readonly #options: UpkeepOptions;
  readonly #core: () => Core;
  readonly #log = new HousekeepingLog();
  readonly #supervisor: Supervisor;
  #housekeeping: Housekeeping | undefined;
  #startedAt: number | undefined;
  /** Settles when it is known what was done before, and what is due. */
  #begun: Promise<void> = Promise.resolve();
  #stopped = false;
  #setAside: string | undefined;
  #crash = '';

  constructor(shared: Omit<Shared, 'server'>, options: UpkeepOptions, core: () => Core) {
    this.#shared = shared;
    this.#options = options;
    this.#core = core;
    this.#supervisor = new Supervisor(shared.host, shared.clock, upkeepSpec, {
      restartChild: () => this.#restart(),
      escalate: () => this.#giveUp(),
    });
  }

  get runs(): readonly HousekeepingRun[] {
    return this.#log.runs;
  }

  /** Why the server is not healthy, for people. */
  get issues(): readonly string[] {
    const { backupIntervalMs } = this.#options;
    const issues: string[] = [];
    if (this.#setAside !== undefined) issues.push(`Housekeeping failed too often and is set aside: ${this.#setAside}`);
    const last = this.#log.last('backup');
    if (last?.ok === false) issues.push(`The last backup failed: ${last.error ?? 'unknown'}`);
    const since = this.#log.succeededAt('backup') ?? this.#startedAt;
    if (backupIntervalMs === null || since === undefined) return issues;
    const age = this.#shared.clock.now() - since;
    if (age > STALE_INTERVALS * backupIntervalMs) issues.push(`The newest backup is ${Math.round(age / 1000)} s old`);
    return issues;
  }

  /** The server is live, be it again. */
  start(): void {
    if (this.#startedAt !== undefined) return;
    this.#startedAt = this.#shared.clock.now();
    this.#begun = this.#log.read(this.#shared.journal).then(
      () => this.#begin(),
      (error: unknown) => {
        // Of a server that is being stopped, the journal is closed by now.
        if (this.#stopped) return;
        const text = error instanceof Error ? error.message : String(error);
        this.#shared.telemetry.observe({ level: 'warn', message: 'earlier housekeeping is not known', error: text });
        this.#begin();
      },
    );
  }

  /** A run by command; one that is under way is awaited. */
  async backUp(): Promise<Outcome> {
    await this.#begun;
    const housekeeping = this.#housekeeping;
    if (housekeeping === undefined) return failure('BACKUP_FAILED', this.#setAside ?? 'The server is being stopped');
    const { ok, result, error } = await housekeeping.backUp();
    return ok ? { success: true, data: result ?? null } : failure('BACKUP_FAILED', error ?? 'unknown');
  }

  stop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#housekeeping?.stop();
    this.#housekeeping = undefined;
    this.#supervisor.stop();
  }

  #begin(): void {
    if (this.#stopped || this.#setAside !== undefined) return;
    const { clock, host, journal } = this.#shared;
    this.#housekeeping = new Housekeeping({
      host,
      clock,
      log: this.#log,
      backupIntervalMs: this.#options.backupIntervalMs,
      backUp: async (at): Promise<Json> => ({ ...(await journal.backup(at)) }),
      record: (run) => this.#record(run),
      crashed: (error) => this.#crashed(error),
    });
  }

  #record(run: HousekeepingRun): void {
    this.#log.add(run);
    const { task, trigger, ok, startedAt, tookMs, result, error } = run;
    const { telemetry } = this.#shared;
    telemetry.observe({
      level: ok ? 'info' : 'error',
      message: `${task} ${ok ? 'made' : 'failed'}`,
      trigger,
      tookMs,
      error,
    });
    const { router, runtime } = this.#core();
    // What can't be recorded now is known as long as the process lives; the next start finds the task due.
    if ((router.phase !== 'open' && router.phase !== 'draining') || !runtime.writer.writable) return;
    const content = { ...(result !== undefined && { result }), ...(error !== undefined && { error }) };
    runtime.writer.append(SERVER_LANE, {
      kind: 'housekeeping.finished',
      task,
      trigger,
      ok,
      startedAt,
      tookMs,
      content,
    });
  }

  #crashed(error: unknown): void {
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#shared.telemetry.observe({ level: 'error', message: 'a defect showed', child: 'housekeeping', error: text });
    this.#crash = error instanceof Error ? error.message : String(error);
    this.#supervisor.failed('housekeeping');
  }

  #restart(): void {
    this.#housekeeping?.stop();
    this.#housekeeping = undefined;
    this.#shared.counters.restarts += 1;
    this.#begin();
  }

  #giveUp(): void {
    this.#setAside = this.#crash;
    this.#housekeeping?.stop();
    this.#housekeeping = undefined;
  }
}
