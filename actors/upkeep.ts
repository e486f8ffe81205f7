/**
 * Housekeeping with its supervisor and what it did so far: a branch of the tree that fails alone. When restarting does not help
 * it is left aside, and the server goes on and says so. State: volatile, but for the log.
 */
import { compactJournal } from './compaction.ts';
import type { Core } from './core.ts';
import { SERVER_LANE } from './entry.ts';
import { Housekeeping, TaskRefused } from './housekeeping.ts';
import { HousekeepingLog } from './housekeeping-log.ts';
import { failure } from './message.ts';
import type { HousekeepingRun, HousekeepingTask, Json, Outcome } from './message.ts';
import type { Shared } from './runtime.ts';
import { applyRetention, placeEveryMs } from './retention.ts';
import { supervisionTree } from './supervision-tree.ts';
import { Supervisor } from './supervisor.ts';

export interface UpkeepOptions {
  /** `null`: backups are made by command alone. */
  readonly backupIntervalMs: number | null;
  /** The same for compaction. */
  readonly compactionIntervalMs: number | null;
  /** Nothing younger is dropped. */
  readonly keptMs: number;
  /** `null`: nothing goes by its age, or for its size. */
  readonly retention: { readonly maxAgeMs: number | null; readonly maxBytes: number | null };
}

/** Everything by command alone. */
export const noSchedule: UpkeepOptions = {
  backupIntervalMs: null,
  compactionIntervalMs: null,
  keptMs: 0,
  retention: { maxAgeMs: null, maxBytes: null },
};

/** By command alone, a backup of the last day is asked for before anything is dropped. */
const BACKUP_AGE_MS_MAX = 24 * 60 * 60 * 1000;

/** Retention is applied at least that often where nothing says how often to compact. */
const RETENTION_INTERVAL_MS = 60 * 60 * 1000;

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
    const { backupIntervalMs, compactionIntervalMs } = this.#options;
    const issues: string[] = [];
    if (this.#setAside !== undefined) issues.push(`Housekeeping failed too often and is set aside: ${this.#setAside}`);
    issues.push(...this.#issuesOf('backup', backupIntervalMs));
    // Whoever asked for it was told why it failed; only what the schedule waits for is a matter of health.
    if (compactionIntervalMs !== null) issues.push(...this.#issuesOf('compaction', compactionIntervalMs));
    if (this.#retentionIntervalMs !== null) issues.push(...this.#issuesOf('retention', this.#retentionIntervalMs));
    return issues;
  }

  #issuesOf(task: HousekeepingTask, intervalMs: number | null): string[] {
    const issues: string[] = [];
    const last = this.#log.last(task);
    if (last?.ok === false) issues.push(`The last ${task} failed: ${last.error ?? 'unknown'}`);
    const since = this.#log.succeededAt(task) ?? this.#startedAt;
    if (intervalMs === null || since === undefined) return issues;
    const age = this.#shared.clock.now() - since;
    if (age > STALE_INTERVALS * intervalMs) issues.push(`The newest ${task} is ${Math.round(age / 1000)} s old`);
    return issues;
  }

  get #retentionIntervalMs(): number | null {
    const { compactionIntervalMs, keptMs, retention } = this.#options;
    if (retention.maxAgeMs === null && retention.maxBytes === null) return null;
    const age = Math.max(retention.maxAgeMs ?? Infinity, keptMs);
    return compactionIntervalMs ?? Math.min(RETENTION_INTERVAL_MS, placeEveryMs(age));
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
  backUp(): Promise<Outcome> {
    return this.#ask('backup', 'BACKUP_FAILED');
  }

  compact(): Promise<Outcome> {
    return this.#ask('compaction', 'COMPACTION_FAILED');
  }

  applyRetention(): Promise<Outcome> {
    return this.#ask('retention', 'COMPACTION_FAILED');
  }

  async #ask(task: HousekeepingTask, errorCode: 'BACKUP_FAILED' | 'COMPACTION_FAILED'): Promise<Outcome> {
    await this.#begun;
    const housekeeping = this.#housekeeping;
    if (housekeeping === undefined) return failure(errorCode, this.#setAside ?? 'The server is being stopped');
    const { ok, result, error } = await housekeeping.ask(task);
    return ok ? { success: true, data: result ?? null } : failure(errorCode, error ?? 'unknown');
  }

  /** @throws why nothing may be dropped: what is dropped must be in a backup that was verified. */
  #mustBeBackedUp(): void {
    const { clock, journal } = this.#shared;
    // It is gone with the process anyway.
    if (journal.durability === 'volatile') return;
    const { backupIntervalMs, compactionIntervalMs } = this.#options;
    const allowed = backupIntervalMs ?? compactionIntervalMs ?? BACKUP_AGE_MS_MAX;
    const last = this.#log.succeededAt('backup');
    if (last === undefined) throw new TaskRefused('There is no verified backup of the journal: make one first');
    const age = clock.now() - last;
    if (age <= allowed) return;
    const seconds = (ms: number): number => Math.round(ms / 1000);
    throw new TaskRefused(
      `The newest verified backup is ${seconds(age)} s old, more than ${seconds(allowed)} s: make one first`,
    );
  }

  async #compact(at: number): Promise<Json> {
    this.#mustBeBackedUp();
    const { journal } = this.#shared;
    return { ...(await compactJournal(journal, this.#core, { before: at - this.#options.keptMs })) };
  }

  /** A limit that the operator set: it does not wait for a backup, which would keep what is to go. */
  async #retain(at: number): Promise<Json> {
    const { keptMs, retention } = this.#options;
    return { ...(await applyRetention(this.#shared.journal, this.#core, { ...retention, keptMs }, at)) };
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
      tasks: {
        backup: {
          intervalMs: this.#options.backupIntervalMs,
          run: async (at) => ({ ...(await journal.backup(at)) }),
        },
        compaction: { intervalMs: this.#options.compactionIntervalMs, run: (at) => this.#compact(at) },
        retention: { intervalMs: this.#retentionIntervalMs, atStart: true, run: (at) => this.#retain(at) },
      },
      record: (run, refused) => this.#record(run, refused),
      crashed: (error) => this.#crashed(error),
    });
  }

  #record(run: HousekeepingRun, refused: boolean): void {
    this.#log.add(run);
    const { task, trigger, ok, startedAt, tookMs, result, error } = run;
    const { telemetry } = this.#shared;
    // Whoever asked is told; on a schedule nobody is.
    const level = ok || (refused && trigger === 'command') ? 'info' : 'error';
    const message = `${task} ${ok ? 'made' : refused ? 'refused' : 'failed'}`;
    telemetry.observe({ level, message, trigger, tookMs, error });
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
