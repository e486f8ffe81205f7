/**
 * The core that is in use, and how one is put in the place of another: given up at once, folded from what is durable, tried
 * again until the journal takes what has to be recorded first.
 *
 * Meanwhile clients are answered: from what was durable last if the journal can be read, marked as stale; and with a coded
 * refusal for what would have to be recorded. State: rebuildable (from the journal).
 */
import { Core } from './core.ts';
import type { CoreOwner } from './core.ts';
import { SERVER_LANE } from './entry.ts';
import { failure } from './message.ts';
import type { RecoverySummary } from './message.ts';
import { noSurvivors } from './journal-fold.ts';
import type { Survivors } from './journal-fold.ts';
import { Recovery } from './recovery.ts';
import type { Cause } from './recovery.ts';
import type { Shared } from './runtime.ts';

export class Rebuild {
  readonly #shared: Shared;
  readonly #owner: CoreOwner;
  readonly #serverVersion: string;
  #core: Core;
  #recovery: Recovery;
  #survivors: Survivors = noSurvivors;
  #cause: Cause | undefined;
  #boot: number | undefined;
  /** The core in use was given up, and has not been replaced. */
  #spent = false;
  /** It failed since it was opened. */
  #journalFailed = false;
  /** Tries are made one after the other. */
  #trying: Promise<unknown> = Promise.resolve();

  constructor(shared: Shared, owner: CoreOwner, serverVersion: string) {
    this.#shared = shared;
    this.#owner = owner;
    this.#serverVersion = serverVersion;
    this.#core = new Core(shared, owner);
    this.#recovery = new Recovery(this.#core, this.#survivors);
  }

  get core(): Core {
    return this.#core;
  }

  /** The core is being folded: what fails in it fails the try. */
  get recovers(): boolean {
    return this.#boot === undefined && !this.#recovery.committed;
  }

  /** The journal failed, and has not been opened again. */
  get awaitsJournal(): boolean {
    return this.#journalFailed;
  }

  /** What is wrong now, for people. */
  get issues(): readonly string[] {
    if (this.#cause === undefined) return [];
    const { child, error } = this.#cause;
    return [
      child === 'journal' ? `The journal can not be written: ${error}` : `Rebuilding after ${child} failed: ${error}`,
    ];
  }

  /** The start of the process. */
  boot(): Promise<RecoverySummary> {
    return this.#recovery.run(this.#serverVersion, () => this.check());
  }

  /** @throws when the core that was folded was given up meanwhile: it must not go live. */
  check(core = this.#core): void {
    if (this.#spent || core.isFrozen)
      throw new Error(`another defect showed while it was rebuilt: ${this.#cause?.error ?? 'unknown'}`);
  }

  /** From now on commands are admitted. */
  goLive(boot: number): void {
    this.#boot = boot;
    this.#cause = undefined;
    this.#survivors = noSurvivors;
    this.#core.goLive(boot);
  }

  /** Nothing of the core in use acts any more. When the journal failed, it is replaced at once; else when it is durable. */
  giveUp(cause: Cause): void {
    this.#cause = cause;
    this.#boot = undefined;
    this.#spent = true;
    this.#core.freeze();
    if (cause.child !== 'journal') return;
    this.#journalFailed = true;
    this.#replace();
  }

  /** One try to rebuild; the one before it is awaited. @throws what it failed with: another one may follow. */
  attempt(): Promise<RecoverySummary> {
    const attempt = this.#trying.then(() => this.#try());
    this.#trying = attempt.catch(() => undefined);
    return attempt;
  }

  /** No try can be made now: serves what can be served meanwhile. */
  serve(): Promise<void> {
    const served = this.#trying.then(async () => {
      if (!this.#spent && this.#core.router.phase === 'unread') await this.#degrade();
    });
    this.#trying = served;
    return served;
  }

  /** Records the end, if the journal takes it. */
  async end(): Promise<void> {
    await this.#trying;
    const { router, runtime } = this.#core;
    const { writer } = runtime;
    const boot = router.outcomes.boot;
    if (this.#spent || this.#cause !== undefined || boot === 0) {
      // What was recorded is shown if it becomes durable; who waits for the rest is told so.
      await writer.settled().catch(() => undefined);
      this.#core.abandon(failure('JOURNAL_UNAVAILABLE', 'The server stopped before the command was durable'));
      this.#core.leave();
      return;
    }
    writer.append(SERVER_LANE, { kind: 'server.stopped', boot, content: {} });
    await writer.settled();
    await this.#core.checkpointer.stop();
    writer.close();
    this.#core.leave();
  }

  async #try(): Promise<RecoverySummary> {
    // After a defect, what was recorded before it is true and becomes durable, and is shown, before it is folded.
    if (this.#spent) await this.#core.runtime.writer.settled().catch(() => undefined);
    if (this.#spent || !this.#recovery.reusable) this.#replace();
    const cause = this.#cause ?? { child: 'directory', error: 'unknown' };
    if (this.#journalFailed) await this.#degrade();
    try {
      if (this.#journalFailed) await this.#shared.journal.open();
      this.#journalFailed = false;
      const { core } = this;
      const recovery = await this.#recovery.run(this.#serverVersion, () => this.check(core), cause);
      this.check();
      return recovery;
    } catch (error) {
      if (this.#recovery.journalFailed) this.#journalFailed = true;
      // What waits for the rebuild need not wait for the next try; and nobody is shown a classification that is not durable.
      if (!this.#spent && !this.#recovery.reusable) {
        await this.#core.runtime.writer.settled().catch(() => undefined);
        this.#replace();
      }
      if (!this.#spent && this.#core.router.phase === 'unread') await this.#degrade();
      throw error;
    }
  }

  /** Serves what can be served while nothing can be written. */
  async #degrade(): Promise<void> {
    try {
      await this.#recovery.fold();
      // Before anybody attaches to what is newer than what others were shown.
      this.#shared.subscriptions.reconcileAll((id) => this.#core.router.directory.summary(id));
      this.#core.router.degrade('stale');
    } catch {
      // What the journal can't be read for is in the issues already; sessions are unknown, and nobody is told that there are none.
      this.#core.router.degrade('blind');
    }
  }

  #replace(): void {
    const draining = this.#core.router.phase === 'draining';
    const why = this.#cause?.child === 'journal' ? 'The journal failed' : 'A defect of the server showed';
    const refusal = `${why} before the command was accepted: send the same frame again`;
    const given = this.#core.abandon(failure('JOURNAL_UNAVAILABLE', refusal));
    this.#survivors = {
      commands: new Map([...this.#recovery.left, ...given.commands]),
      runs: new Map([...this.#survivors.runs, ...given.runs]),
      early: given.early,
    };
    this.#recovery.stop();
    this.#core = new Core(this.#shared, this.#owner);
    this.#core.router.takeOver(given.early);
    // After a defect nothing that memory made is trusted: what was kept of it no more than what was there.
    const anew = this.#cause?.child !== 'journal' && this.#cause?.child !== 'transports';
    this.#recovery = new Recovery(this.#core, this.#survivors, anew);
    this.#spent = false;
    // Nothing comes after the stop that is under way: what comes meanwhile is told so.
    if (draining) this.#core.router.drain(() => undefined);
  }
}
