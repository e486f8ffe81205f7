/**
 * The root of the runtime: wires its parts, boots through recovery, supervises, takes connections in, and drains.
 *
 * Connections, engines and what is counted last as long as the system; what is folded from the journal stands in a core, which
 * is replaced when the journal fails or a defect shows. State: rebuildable (from the journal).
 */
import type { Actor } from 'xstate';
import type { CommandEvent } from '../machines/command.ts';
import { journalMachine } from '../machines/journal.ts';
import { serverMachine } from '../machines/server.ts';
import type { ServerEvent } from '../machines/server.ts';
import { supervisionMachine } from '../machines/supervision.ts';
import type { Command } from './command.ts';
import { closeEach } from './closing.ts';
import { ConnectionTable } from './connection-table.ts';
import type { Welcome } from './connection-table.ts';
import type { Connection } from './connection.ts';
import type { Core, CoreOwner } from './core.ts';
import { Counters } from './counters.ts';
import { Host } from './host.ts';
import type { Inspector } from './host.ts';
import type { Limits } from './limits.ts';
import type { LiveCounts, Principal, RecoverySummary } from './message.ts';
import { JournalRefused } from './ports.ts';
import type { Outlet, Peer, Reception } from './ports.ts';
import { Rebuild } from './rebuild.ts';
import type { Cause } from './recovery.ts';
import type { Replaceable, Shared } from './runtime.ts';
import { createServerView } from './server-view.ts';
import type { Mailbox } from './session/mailbox.ts';
import type { Session } from './session/session.ts';
import { Subscriptions } from './subscriptions.ts';
import { supervisionTree } from './supervision-tree.ts';
import { Supervisor } from './supervisor.ts';
import type { SystemPorts } from './system-ports.ts';
import { noSchedule, Upkeep } from './upkeep.ts';
import type { UpkeepOptions } from './upkeep.ts';

export type { SystemPorts };

/** What the runtime has to be told. */
export interface SystemOptions {
  readonly serverVersion: string;
  /** The engine of a session that names none. */
  readonly defaultEngine: string;
  readonly limits: Limits;
  /** Absent: nothing is done by schedule. */
  readonly upkeep?: UpkeepOptions;
  /** Called once when restarting does not help: the process has to end; nothing unacknowledged was shown. */
  readonly onFatal: (error: Error) => void;
  /** Starts again what listens, if it does not, after `transportsFailed`; the connections that are left stay. */
  readonly restartTransports?: () => Promise<void>;
}

/** Shows a step of a command's life. */
export type CommandObserver = (command: Command, step: CommandEvent['type']) => void;

/** A running runtime, and where transports bring their clients. */
export interface System extends Reception {
  /** Opens the journal and recovers. @throws JournalRefused */
  start(): Promise<RecoverySummary>;
  /** Refuses new commands, lets running turns finish for `limits.drainMs`, ends the rest, closes connections and journal. */
  drain(): Promise<void>;
  /** Shows every actor to an inspector until the returned function is called. Nobody watching costs nothing. */
  inspect(inspector: Inspector): () => void;
  /** What listens has failed: it is restarted, and what depends on it. */
  transportsFailed(error: Error): void;
  observeCommands(observer: CommandObserver | undefined): void;
  session(sessionId: string): Session | undefined;
  /** What is in memory now. */
  readonly live: LiveCounts;
}

/** Makes a runtime; it reads nothing before `start`. */
export function createSystem(ports: SystemPorts, options: SystemOptions): System {
  return new RunningSystem(ports, options);
}

const [, , transportsSpec, sessionsSpec] = supervisionTree.children;

class RunningSystem implements System, CoreOwner {
  readonly #ports: SystemPorts;
  readonly #options: SystemOptions;
  readonly #host: Host;
  readonly #shared: Shared;
  readonly #server: Actor<typeof serverMachine>;
  readonly #journal: Actor<typeof journalMachine>;
  readonly #root: Supervisor;
  readonly #sessions: Supervisor;
  readonly #connections: ConnectionTable;
  readonly #rebuild: Rebuild;
  readonly #upkeep: Upkeep;
  /** Sessions in which a defect showed, until their supervisor has decided. */
  readonly #crashed = new Map<string, { readonly mailbox: Mailbox; readonly error: string }>();
  #recovery: RecoverySummary | undefined;
  #fatal: Error | undefined;
  #stopped: Promise<void> | undefined;
  #onStopped: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(ports: SystemPorts, options: SystemOptions) {
    this.#ports = ports;
    this.#options = options;
    const { clock } = ports;
    const { limits, defaultEngine, serverVersion } = options;
    const host = new Host(clock);
    this.#host = host;
    const engines = new Map(ports.engines.map((engine) => [engine.kind, engine]));
    const counters = new Counters();
    const server = createServerView({
      clock,
      serverVersion,
      redaction: ports.redaction,
      engines,
      counters,
      core: () => this.#rebuild.core,
      live: () => this.live,
      recovery: () => this.#recovery,
      issues: () => [...this.#rebuild.issues, ...this.#upkeep.issues],
      mailboxDepthMax: limits.mailboxDepthMax,
      upkeep: () => this.#upkeep,
    });
    const subscriptions = new Subscriptions(ports, limits.outgoingBytesMax);
    const onCommandStep = undefined;
    this.#shared = { ...ports, limits, defaultEngine, engines, host, subscriptions, counters, server, onCommandStep };
    // In the order of the tree, which is the order of the start.
    this.#root = new Supervisor(host, clock, supervisionTree, {
      restartFrom: (child) => void this.#restart(child),
      escalate: (child) => this.#giveUp(child),
    });
    this.#journal = host.start(journalMachine, 'journal', undefined);
    ports.journal.watch?.((error) => this.journalFailed(this.#rebuild.core, error));
    this.#rebuild = new Rebuild(this.#shared, this, serverVersion);
    // Its children are temporary, so it restarts none: it is there to be seen, and to be restarted.
    host.start(supervisionMachine, transportsSpec.id, transportsSpec.supervises);
    this.#server = host.start(serverMachine, 'server', undefined);
    this.#connections = new ConnectionTable(this.#shared, {
      greeting: (connection) => this.#greeting(connection),
      core: () => this.#rebuild.core,
      welcome: () => this.#welcome(),
    });
    this.#sessions = new Supervisor(host, clock, sessionsSpec, {
      restartChild: (child) => this.#restartSession(child),
      escalate: () => this.#failed({ child: 'sessions', error: 'too many sessions failed' }),
    });
    this.#upkeep = new Upkeep(this.#shared, options.upkeep ?? noSchedule, () => this.#rebuild.core);
  }

  get live(): LiveCounts {
    const { router, runtime } = this.#rebuild.core;
    const { deduplication, leases, releases, wheel, writer } = runtime;
    return {
      sessions: router.directory.sessionCount - router.directory.passiveCount,
      passive: router.directory.passiveCount,
      mailboxes: router.directory.mailboxes.size,
      actors: this.#host.rootCount,
      children: this.#host.countChildren(),
      timers: wheel.size - leases.timers,
      leases: leases.size,
      connections: this.#connections.size,
      ...this.#shared.subscriptions.count(),
      held: releases.heldCount,
      known: deduplication.size,
      lanes: writer.laneCount,
    };
  }

  async start(): Promise<RecoverySummary> {
    try {
      const recovery = await this.#rebuild.boot();
      this.#rebuild.check();
      this.#goLive(recovery);
      return recovery;
    } catch (error) {
      this.#tell({ type: 'recovery.refused' });
      if (this.#rebuild.core.runtime.writer.writable) throw error;
      // It could be read, and does not take what was found: for who starts the server that is a refusal like any other.
      const why = error instanceof Error ? error.message : String(error);
      throw new JournalRefused(`${why}: look after the disk and the room on it, then start again`, { cause: error });
    }
  }

  drain(): Promise<void> {
    if (this.#fatal !== undefined) return Promise.reject(this.#fatal);
    if (this.#stopped === undefined && this.#server.getSnapshot().status !== 'active') {
      return Promise.reject(new Error('The server did not start: there is nothing to drain'));
    }
    this.#stopped ??= new Promise((resolve, reject) => {
      this.#onStopped = { resolve, reject };
      this.#tell({ type: 'drain.requested' });
    });
    return this.#stopped;
  }

  connect(outlet: Outlet, principal: Principal, transport: string): Peer | undefined {
    return this.#connections.connect(outlet, principal, transport);
  }

  inspect(inspector: Inspector): () => void {
    return this.#host.inspect(inspector);
  }

  observeCommands(observer: CommandObserver | undefined): void {
    this.#shared.onCommandStep = observer;
    this.#rebuild.core.runtime.onCommandStep = observer;
  }

  session(sessionId: string): Session | undefined {
    return this.#rebuild.core.router.directory.find(sessionId)?.session;
  }

  transportsFailed(error: Error): void {
    this.#failed({ child: 'transports', error: error.message });
  }

  journalFailed(core: Core, error: Error): void {
    if (core !== this.#rebuild.core) return;
    this.#journal.send({ type: 'journal.failed' });
    // The try that met this fails with it, and is repeated.
    if (this.#rebuild.recovers) return;
    this.#failed({ child: 'journal', error: error.message });
  }

  crashed(core: Core, error: unknown, crashed: Replaceable | undefined): void {
    if (core !== this.#rebuild.core || core.isFrozen) return;
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const mailbox = crashed === undefined ? undefined : core.router.directory.replaceable(crashed);
    const child = mailbox === undefined ? 'directory' : `session:${mailbox.id}`;
    this.#shared.telemetry.observe({ level: 'error', message: 'a defect showed', child, error: text });
    const message = error instanceof Error ? error.message : String(error);
    if (mailbox === undefined || this.#rebuild.recovers) {
      this.#failed({ child: 'directory', error: message });
      return;
    }
    this.#crashed.set(child, { mailbox, error: message });
    this.#sessions.failed(child);
  }

  /** Something of the tree failed that can't go on by itself: what depends on it is given up, and restarted by the root. */
  #failed(cause: Cause): void {
    this.#shared.telemetry.observe({ level: 'error', message: 'a child failed', ...cause });
    this.#rebuild.giveUp(cause);
    const state = this.#server.getSnapshot();
    if (state.matches('ready') || state.matches('rebuilding')) {
      this.#tell({ type: 'core.failed' });
      this.#rootHears(cause.child);
      return;
    }
    // In the middle of a stop there is nothing to restart for: what is durable is recovered at the next start.
    this.#tell({ type: 'journal.failed' });
    this.#onStopped?.reject(new Error(`${cause.child}: ${cause.error}`));
  }

  #restartSession(child: string): void {
    const crash = this.#crashed.get(child);
    this.#crashed.delete(child);
    if (crash === undefined) return;
    this.#shared.counters.restarts += 1;
    this.#rebuild.core.router.directory.rebuild(crash.mailbox, crash.error);
  }

  async #restart(child: string): Promise<void> {
    try {
      // They stand behind journal and directory, and may have failed with these: of several, the first one is named.
      if (child !== 'sessions') await this.#restartTransports();
      // The stop may have begun, and closed the journal.
      if (!this.#server.getSnapshot().matches('rebuilding')) return;
      // They stand last in the tree: whatever is restarted, they are; and what is taken back may need them.
      this.#sessions.restart();
      this.#crashed.clear();
      const recovery = await this.#rebuild.attempt();
      if (!this.#server.getSnapshot().matches('rebuilding')) return;
      this.#rebuild.check();
      this.#root.started();
      this.#shared.counters.restarts += 1;
      const { tookMs, classified, requeued } = recovery;
      const counts = { tookMs, classified: classified.length, requeued };
      this.#shared.telemetry.observe({ level: 'warn', message: 'restarted', child, ...counts });
      this.#goLive(recovery);
      const { type, data } = this.#ports.announcement(this.#shared.server);
      this.#connections.tell(this.#shared.frames.notice(type, data));
    } catch (error) {
      const text = error instanceof Error ? error.message : String(error);
      this.#shared.telemetry.observe({ level: 'warn', message: 'a restart failed', child, error: text });
      this.#rootHears(child);
    }
  }

  async #restartTransports(): Promise<void> {
    try {
      await this.#options.restartTransports?.();
    } catch (error) {
      await this.#rebuild.serve();
      throw error;
    }
  }

  #rootHears(child: string): void {
    if (this.#rebuild.awaitsJournal) this.#root.unavailable(child);
    else this.#root.failed(child);
  }

  #goLive(recovery: RecoverySummary): void {
    this.#recovery = recovery;
    this.#journal.send({ type: 'journal.opened' });
    this.#tell({ type: 'recovery.completed' });
    this.#upkeep.start();
    this.#rebuild.goLive(recovery.boot);
  }

  /** Restarting does not help. */
  #giveUp(child: string): void {
    this.#fatal = new Error(`${child} failed too often: ${this.#rebuild.issues.join('; ')}`);
    this.#tell({ type: 'restarts.exhausted' });
    this.#upkeep.stop();
    this.#options.onFatal(this.#fatal);
  }

  #welcome(): Welcome {
    const state = this.#server.getSnapshot();
    if (state.matches('starting')) return 'later';
    return state.matches('ready') || state.matches('rebuilding') ? 'now' : 'never';
  }

  #greeting(connection: Connection): readonly string[] {
    const { frames, server } = this.#shared;
    return this.#ports.greeting(server, connection).map(({ type, data }) => frames.notice(type, data));
  }

  #tell(event: ServerEvent): void {
    const intents = this.#host.collect(() => this.#server.send(event));
    for (const { type } of intents) this.#perform(type);
  }

  #perform(type: string): void {
    const { core } = this.#rebuild;
    switch (type) {
      case 'greetConnections':
        return this.#connections.open();
      case 'announceShutdown':
        return this.#announceShutdown();
      case 'endWork':
        core.router
          .endAll('Server is shutting down')
          .then(() => core.runtime.writer.settled())
          .then(
            () => this.#tell({ type: 'work.ended' }),
            // The journal failed meanwhile: that has been told, and has ended the stop.
            () => undefined,
          );
        return;
      case 'closeConnections':
        void this.#close();
        return;
      default:
        throw new Error(`The server does not know how to perform '${type}'.`);
    }
  }

  #announceShutdown(): void {
    const { clock, frames, limits } = this.#shared;
    const { drainMs } = limits;
    this.#root.stop();
    this.#upkeep.stop();
    this.#connections.tell(frames.notice('server_shutdown', { reason: 'graceful_shutdown', timeoutMs: drainMs }));
    const { router, runtime } = this.#rebuild.core;
    const timer = runtime.wheel.arm(clock.now() + drainMs, () => this.#tell({ type: 'drain.expired' }));
    router.drain(() => {
      timer.cancel();
      this.#tell({ type: 'work.drained' });
    });
  }

  async #close(): Promise<void> {
    const { engines, journal } = this.#shared;
    try {
      await this.#rebuild.end();
      this.#connections.dismiss();
      await closeEach([...engines.values(), journal]);
      this.#journal.send({ type: 'journal.closed' });
      this.#tell({ type: 'journal.closed' });
      this.#onStopped?.resolve();
    } catch (error) {
      this.#onStopped?.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }
}
