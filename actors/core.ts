/**
 * What is folded from the journal, as a whole: directory, sessions, index of known commands, timers, and the writer behind
 * what was folded.
 *
 * When the journal fails, or a defect shows that can't be blamed on one session, this is given up and another one is folded
 * from what is durable. Nothing of the one that was given up can be seen or recorded any more; what somebody waits for
 * survives it if the journal knows of it. State: rebuildable.
 */
import type { Actor } from 'xstate';
import { Checkpointer } from './checkpointer.ts';
import type { Connection } from './connection.ts';
import { Deduplication } from './deduplication.ts';
import { ExpiredSessions } from './expired-sessions.ts';
import { JournalWriter } from './journal-writer.ts';
import { Leases } from './leases.ts';
import type { Failure } from './message.ts';
import type { ParsedCommand } from './ports.ts';
import type { Survivors } from './journal-fold.ts';
import { ReleaseQueue } from './release-queue.ts';
import { Router, routerLogic } from './router.ts';
import type { Replaceable, Runtime, Shared } from './runtime.ts';
import { tendLease } from './session/expiry.ts';
import type { Frozen } from './session/frozen.ts';
import { TimerWheel } from './timer-wheel.ts';

const TIMER_RESOLUTION_MS = 1;

/** Who hears of what fails in a core. */
export interface CoreOwner {
  journalFailed(core: Core, error: Error): void;
  crashed(core: Core, error: unknown, mailbox: Replaceable | undefined): void;
}

export class Core {
  readonly runtime: Runtime;
  readonly router: Router;
  readonly checkpointer: Checkpointer;
  readonly #actor: Actor<typeof routerLogic>;
  #frozen: readonly Frozen[] | undefined;

  constructor(shared: Shared, owner: CoreOwner) {
    const { clock, host, journal, limits, redaction } = shared;
    const releases = new ReleaseQueue((error) => owner.crashed(this, error, undefined));
    const wheel = new TimerWheel(clock, TIMER_RESOLUTION_MS);
    this.runtime = {
      ...shared,
      releases,
      wheel,
      leases: new Leases(clock, wheel, (sessionId, now) => {
        const mailbox = this.router.directory.wake(sessionId, now);
        mailbox?.guard(() => tendLease(this.runtime, mailbox, now));
      }),
      expired: new ExpiredSessions(),
      writer: new JournalWriter(journal, clock, releases, (error) => owner.journalFailed(this, error), redaction),
      deduplication: new Deduplication({
        entriesMax: limits.idempotencyEntriesMax,
        cacheBytesMax: limits.idempotencyCacheBytesMax,
      }),
      crashed: (error, mailbox) => owner.crashed(this, error, mailbox),
    };
    this.router = new Router(this.runtime);
    this.checkpointer = new Checkpointer(this.runtime, this.router);
    this.runtime.writer.onDurable = (offset) => this.checkpointer.notice(offset);
    this.#actor = host.start(routerLogic, 'directory', this.router);
  }

  get isFrozen(): boolean {
    return this.#frozen !== undefined;
  }

  receive(parsed: ParsedCommand, connection: Connection): void {
    this.#actor.send({ type: 'command.received', parsed, connection });
  }

  /**
   * From now on commands are admitted. What was in flight is classified by now and waiting work is back in its lane, so what
   * fell due while nobody was there to see it is done first: the first command finds it so.
   */
  goLive(boot: number): void {
    const { clock, leases } = this.runtime;
    this.router.directory.armLeases();
    leases.start(clock.now());
    this.router.open(boot);
  }

  /** Nothing acts any more: turns are told to stop, timers are off. What was recorded may still become durable. */
  freeze(): void {
    this.runtime.leases.stop();
    this.checkpointer.close();
    this.#frozen ??= this.router.freeze();
  }

  /** The server ends: engines that have not let go are left to themselves. */
  leave(): void {
    this.freeze();
    for (const { run } of this.#frozen ?? []) run?.leave();
  }

  /** The end: what is held is dropped, and who waits for what is not durable gets `refusal`. */
  abandon(refusal: Failure): Survivors {
    this.freeze();
    this.runtime.writer.close();
    const { outcomes } = this.router;
    // In this order: a refusal may have to wait behind what is held.
    const early = this.router.abandon();
    outcomes.abandon(refusal);
    const runs = new Map<string, Frozen['run'] & object>();
    for (const { commands, run } of this.#frozen ?? []) {
      for (const command of commands) outcomes.forsake(command);
      if (run !== undefined) runs.set(run.sessionId, run);
    }
    this.runtime.host.stop(this.#actor);
    return { commands: outcomes.survivors, runs, early };
  }
}
