/**
 * The root of the runtime: wires its parts, boots through recovery, takes connections in, and drains. State: rebuildable (from
 * the journal).
 */
import type { Actor } from 'xstate';
import type { CommandEvent } from '../machines/command.ts';
import { serverMachine } from '../machines/server.ts';
import type { Command } from './command.ts';
import { Connection } from './connection.ts';
import type { ConnectionOwner } from './connection.ts';
import { Counters } from './counters.ts';
import { Deduplication } from './deduplication.ts';
import { SERVER_LANE } from './entry.ts';
import { Host } from './host.ts';
import type { Inspector } from './host.ts';
import { JournalWriter } from './journal-writer.ts';
import type { Limits } from './limits.ts';
import type { Json, LiveCounts, Principal, RecoverySummary, ServerView } from './message.ts';
import type { Clock, Engine, Frames, Ids, Intake, Journal, Outlet, Peer, Reception, Telemetry } from './ports.ts';
import { Recovery } from './recovery.ts';
import { ReleaseQueue } from './release-queue.ts';
import { Router, routerLogic } from './router.ts';
import type { Runtime } from './runtime.ts';
import type { Session } from './session/session.ts';
import { Subscriptions } from './subscriptions.ts';
import { TimerWheel } from './timer-wheel.ts';

/** Everything that the runtime needs from outside. */
export interface SystemPorts {
  readonly clock: Clock;
  readonly ids: Ids;
  readonly journal: Journal;
  readonly engines: readonly Engine[];
  readonly frames: Frames;
  readonly intake: Intake;
  readonly telemetry: Telemetry;
  /** Hex sha256 that tells two commands under one id apart; the journal's worker computes the same. */
  readonly fingerprint: (commandText: string) => string;
  /** What a new connection is told first, in order. */
  readonly greeting: (server: ServerView, connection: Greeted) => readonly Notice[];
}

export interface Greeted {
  readonly principal: Principal;
  readonly transport: string;
}

export interface Notice {
  readonly type: string;
  readonly data: Json;
}

/** What the runtime has to be told. */
export interface SystemOptions {
  readonly serverVersion: string;
  /** The engine of a session that names none. */
  readonly defaultEngine: string;
  readonly limits: Limits;
  /** Called once when the journal can't be written any more: the process has to end; nothing unacknowledged was shown. */
  readonly onFatal: (error: Error) => void;
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
  observeCommands(observer: CommandObserver | undefined): void;
  session(sessionId: string): Session | undefined;
  /** What is in memory now. */
  readonly live: LiveCounts;
}

const CONNECTION_LIMIT_CLOSE = 1013;
const TIMER_RESOLUTION_MS = 1;

/** Makes a runtime; it reads nothing before `start`. */
export function createSystem(ports: SystemPorts, options: SystemOptions): System {
  return new RunningSystem(ports, options);
}

class RunningSystem implements System, ConnectionOwner {
  readonly host: Host;
  readonly frames: Frames;
  readonly limits: Limits;
  readonly #ports: SystemPorts;
  readonly #options: SystemOptions;
  readonly #runtime: Runtime;
  readonly #router: Router;
  readonly #routerActor: Actor<typeof routerLogic>;
  readonly #server: Actor<typeof serverMachine>;
  readonly #connections = new Set<Connection>();
  #connected = 0;
  #recovery: RecoverySummary | undefined;
  #failure: Error | undefined;
  #stopped: Promise<void> | undefined;
  #onStopped: { readonly resolve: () => void; readonly reject: (error: Error) => void } | undefined;

  constructor(ports: SystemPorts, options: SystemOptions) {
    this.#ports = ports;
    this.#options = options;
    const { clock, frames } = ports;
    const { limits } = options;
    this.frames = frames;
    this.limits = limits;
    this.host = new Host(clock);
    const releases = new ReleaseQueue();
    this.#runtime = {
      ...ports,
      limits,
      defaultEngine: options.defaultEngine,
      engines: new Map(ports.engines.map((engine) => [engine.kind, engine])),
      host: this.host,
      wheel: new TimerWheel(clock, TIMER_RESOLUTION_MS),
      releases,
      writer: new JournalWriter(ports.journal, clock, releases, (error) => this.#journalFailed(error)),
      deduplication: new Deduplication({
        entriesMax: limits.idempotencyEntriesMax,
        cacheBytesMax: limits.idempotencyCacheBytesMax,
      }),
      subscriptions: new Subscriptions(),
      counters: new Counters(),
      server: this.#view(),
      onCommandStep: undefined,
    };
    this.#router = new Router(this.#runtime);
    this.#server = this.host.start(serverMachine, 'server', undefined);
    this.#routerActor = this.host.start(routerLogic, 'router', this.#router);
  }

  get live(): LiveCounts {
    const { deduplication, releases, wheel, writer } = this.#runtime;
    return {
      sessions: this.#router.sessionCount,
      mailboxes: this.#router.mailboxes.size,
      actors: this.host.rootCount,
      children: this.host.countChildren(),
      timers: wheel.size,
      connections: this.#connections.size,
      held: releases.heldCount,
      known: deduplication.size,
      lanes: writer.laneCount,
    };
  }

  async start(): Promise<RecoverySummary> {
    try {
      const recovery = await new Recovery(this.#runtime, this.#router).run(this.#options.serverVersion);
      this.#recovery = recovery;
      this.#router.open(recovery.boot);
      this.#tell({ type: 'recovery.completed' });
      return recovery;
    } catch (error) {
      this.#tell({ type: 'recovery.refused' });
      throw error;
    }
  }

  drain(): Promise<void> {
    this.#stopped ??= new Promise((resolve, reject) => {
      this.#onStopped = { resolve, reject };
      this.#tell({ type: 'drain.requested' });
    });
    return this.#stopped;
  }

  connect(outlet: Outlet, principal: Principal, transport: string): Peer | undefined {
    const { connectionsMax } = this.limits;
    if (this.#connections.size >= connectionsMax) {
      this.#runtime.counters.connectionsRefused += 1;
      outlet.close(CONNECTION_LIMIT_CLOSE, `Connection limit reached (${connectionsMax} connections)`);
      return undefined;
    }
    this.#connected += 1;
    const connection = new Connection(this, String(this.#connected), outlet, principal, transport);
    this.#connections.add(connection);
    const { subscriptions } = this.#runtime;
    subscriptions.lifecycle.add(connection);
    subscriptions.sessionTopic.add(connection);
    if (this.#server.getSnapshot().matches('ready')) connection.open();
    else if (!this.#server.getSnapshot().matches('starting')) connection.dismiss();
    return connection;
  }

  greeting(connection: Connection): readonly string[] {
    const notices = this.#ports.greeting(this.#runtime.server, connection);
    return notices.map(({ type, data }) => this.frames.notice(type, data));
  }

  receive(connection: Connection, bytes: Uint8Array): void {
    const parsed = this.#ports.intake.parse(bytes, connection.principal);
    if ('contract' in parsed) {
      this.#routerActor.send({ type: 'command.received', parsed, connection });
      return;
    }
    const { commandType, id, refusal } = parsed;
    this.#runtime.counters.countRefused(refusal.errorCode);
    this.#router.outcomes.hold(connection, 0, () => {
      connection.sendResponse(this.frames.response(commandType, id, refusal, undefined, false));
    });
  }

  left(connection: Connection): void {
    this.#connections.delete(connection);
    this.#runtime.subscriptions.leave(connection);
  }

  inspect(inspector: Inspector): () => void {
    return this.host.inspect(inspector);
  }

  observeCommands(observer: CommandObserver | undefined): void {
    this.#runtime.onCommandStep = observer;
  }

  session(sessionId: string): Session | undefined {
    return this.#router.session(sessionId);
  }

  #tell(event: Parameters<Actor<typeof serverMachine>['send']>[0]): void {
    const intents = this.host.collect(() => this.#server.send(event));
    for (const { type } of intents) this.#perform(type);
  }

  #perform(type: string): void {
    const { drainMs } = this.limits;
    switch (type) {
      case 'greetConnections':
        for (const connection of this.#connections) connection.open();
        return;
      case 'announceShutdown': {
        const text = this.frames.notice('server_shutdown', { reason: 'graceful_shutdown', timeoutMs: drainMs });
        for (const connection of this.#connections) connection.sendResponse(text);
        const { clock, wheel } = this.#runtime;
        const timer = wheel.arm(clock.now() + drainMs, () => this.#tell({ type: 'drain.expired' }));
        this.#router.drain(() => {
          timer.cancel();
          this.#tell({ type: 'work.drained' });
        });
        return;
      }
      case 'endWork':
        this.#router.endAll('Server is shutting down');
        this.#whenSettled(() => this.#tell({ type: 'work.ended' }));
        return;
      case 'closeConnections':
        void this.#close();
        return;
      default:
        throw new Error(`The server does not know how to perform '${type}'.`);
    }
  }

  #whenSettled(then: () => void): void {
    this.#runtime.writer.settled().then(then, (error: Error) => this.#onStopped?.reject(error));
  }

  async #close(): Promise<void> {
    const { engines, journal, writer } = this.#runtime;
    try {
      const boot = this.#recovery?.boot;
      if (boot !== undefined) writer.append(SERVER_LANE, { kind: 'server.stopped', boot, content: {} });
      await writer.settled();
      writer.close();
      for (const connection of this.#connections) connection.dismiss();
      for (const engine of engines.values()) await engine.close();
      await journal.close();
      this.#tell({ type: 'journal.closed' });
      this.#onStopped?.resolve();
    } catch (error) {
      this.#onStopped?.reject(error instanceof Error ? error : new Error(String(error)));
    }
  }

  #journalFailed(error: Error): void {
    this.#failure = error;
    this.#tell({ type: 'journal.failed' });
    this.#onStopped?.reject(error);
    this.#options.onFatal(error);
  }

  #view(): ServerView {
    const system = this;
    return {
      get now() {
        return system.#ports.clock.now();
      },
      serverVersion: this.#options.serverVersion,
      get sessionCount() {
        return system.#router.sessionCount;
      },
      session: (id) => this.#router.session(id)?.state,
      *sessions() {
        for (const { session } of system.#router.mailboxes.values())
          if (session?.state !== undefined) yield session.state;
      },
      runningTurn: (id) => this.#router.mailboxes.get(id)?.runningTurn,
      get recovery() {
        if (system.#recovery === undefined)
          throw new Error('Recovery is not over: there is nothing to tell of it yet.');
        return system.#recovery;
      },
      get live() {
        return system.live;
      },
      get activity() {
        return system.#runtime.counters;
      },
      get journal() {
        const { releases, writer } = system.#runtime;
        const { writable, offset, entryCount: entries, newestBatch: batches } = writer;
        return { offset, entries, batches, durable: releases.durable, writable };
      },
      get issues() {
        return system.#failure === undefined ? [] : [`The journal can not be written: ${system.#failure.message}`];
      },
      engineCapabilities: (kind) => this.#runtime.engines.get(kind)?.capabilities ?? [],
    };
  }
}
