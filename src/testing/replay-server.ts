/**
 * A server for recorded commands: the real runtime and commands over a journal in memory, and a clock that goes from timer to
 * timer. Its ledger is kept from what its journal committed. State: volatile.
 */
import type { Outlet, Peer, Clock, Journal } from '../../actors/ports.ts';
import { createSystem } from '../../actors/system.ts';
import type { System } from '../../actors/system.ts';
import { catalog } from '../commands/catalog.ts';
import { createGreeting, recoveryAnnouncement } from '../commands/greeting.ts';
import { createIntake } from '../commands/intake.ts';
import { createRegistry } from '../commands/registry.ts';
import { checkConfig } from '../config.ts';
import { createEchoEngine } from '../engines/echo.ts';
import { createScriptedEngine } from '../engines/scripted.ts';
import { fingerprint } from '../journal/fingerprint.ts';
import { createMemoryJournal } from '../journal/memory.ts';
import { frames } from '../protocol/frames.ts';
import { limitsOf } from '../server.ts';
import { packageVersion } from '../version.ts';
import { createSimulatedClock } from './clock.ts';
import type { SimulatedClock } from './clock.ts';
import { OPERATOR, ReplayLedger } from './replay-ledger.ts';
import type { ReplayBundle } from './recorded-window.ts';

/** Timers that run at most while one thing is waited for. */
const TIMERS_MAX = 20_000;
/** Turns of the event loop in which everything happens that needs no time. */
const ROUNDS = 4;

/** Nobody reads: what counts is in the journal. */
const DEAF: Outlet = {
  bufferedBytes: 0,
  write: () => undefined,
  whenTaken: (callback: () => void) => queueMicrotask(callback),
  close: () => undefined,
};

export class ReplayServer {
  readonly ledger = new ReplayLedger();
  readonly #simulated: SimulatedClock;
  /** When each timer that is set comes due. */
  readonly #due = new Map<unknown, number>();
  readonly #peers = new Map<string, Peer>();
  readonly #system: System;
  #fatal: Error | undefined;

  static async start(bundle: ReplayBundle): Promise<ReplayServer> {
    const server = new ReplayServer(bundle);
    const started = server.#system.start();
    await server.#settle();
    await started;
    return server;
  }

  private constructor({ startAt, config: given = {}, sessionIds = [] }: ReplayBundle) {
    const checked = checkConfig(given);
    if ('issues' in checked) throw new Error(`The bundle's configuration is wrong: ${JSON.stringify(checked.issues)}`);
    const { config } = checked;
    const registry = createRegistry(catalog);
    const engines = [createEchoEngine(), createScriptedEngine()];
    const ids = [...sessionIds];
    let drawn = 0;
    this.#simulated = createSimulatedClock(startAt);
    this.#system = createSystem(
      {
        clock: this.#clock(),
        ids: {
          epoch: () => `epoch-${(drawn += 1)}`,
          sessionId: () => ids.shift() ?? `session-${(drawn += 1)}`,
        },
        journal: this.#journal(),
        engines,
        frames,
        intake: createIntake({ registry, frameBytesMax: Number.MAX_SAFE_INTEGER }),
        telemetry: { enabled: () => false, observe: () => undefined },
        redaction: undefined,
        fingerprint,
        greeting: createGreeting({
          transports: [],
          commands: registry.types,
          engines: engines.map(({ kind }) => kind),
          limits: config.limits,
        }),
        announcement: recoveryAnnouncement,
      },
      {
        serverVersion: packageVersion,
        defaultEngine: config.engine,
        limits: limitsOf(config),
        onFatal: (error) => (this.#fatal = error),
      },
    );
  }

  get now(): number {
    return this.#simulated.now();
  }

  send(text: string, principal = OPERATOR): void {
    let peer = this.#peers.get(principal);
    if (peer === undefined) {
      const scopes = ['observe', 'drive', 'approve', 'exec', 'operate'] as const;
      peer = this.#system.connect(DEAF, { id: principal, scopes: [...scopes] }, 'replay');
      if (peer === undefined) throw new Error(`The server takes no connection for ${principal}.`);
      this.#peers.set(principal, peer);
    }
    peer.receive(Buffer.from(text));
  }

  /** Runs timer by timer until it is so. Settles as well when nothing is left that could make it so. */
  async until(done: () => boolean): Promise<void> {
    for (let ran = 0; ran < TIMERS_MAX; ran += 1) {
      await this.#settle();
      if (done() || this.#due.size === 0) return;
      await this.moveTo(Math.min(...this.#due.values()));
    }
  }

  async moveTo(time: number): Promise<void> {
    await this.#simulated.advanceAsync(Math.max(0, time - this.now));
  }

  async stop(): Promise<void> {
    let stopped = false;
    const drained = this.#system.drain().finally(() => (stopped = true));
    await this.until(() => stopped);
    await drained;
  }

  async #settle(): Promise<void> {
    for (let round = 0; round < ROUNDS; round += 1) await this.#simulated.advanceAsync(0);
    if (this.#fatal !== undefined) throw this.#fatal;
  }

  #clock(): Clock {
    const clock = this.#simulated;
    return {
      now: () => clock.now(),
      setTimeout: (callback, delayMs) => {
        const handle: unknown = clock.setTimeout(() => {
          this.#due.delete(handle);
          callback();
        }, delayMs);
        this.#due.set(handle, clock.now() + Math.max(0, delayMs));
        return handle;
      },
      clearTimeout: (handle) => {
        this.#due.delete(handle);
        clock.clearTimeout(handle);
      },
      defer: (callback) => clock.defer(callback),
    };
  }

  #journal(): Journal {
    const journal = createMemoryJournal();
    const append = journal.append.bind(journal);
    journal.append = (entries, done) =>
      append(entries, (error) => {
        if (error === undefined) for (const entry of entries) this.ledger.take(entry);
        done(error);
      });
    return journal;
  }
}
