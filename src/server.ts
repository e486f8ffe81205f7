/**
 * The composition root: where ports meet their implementations and the parts start and stop in order.
 *
 * Start: the default engine, the listener, the journal with its recovery. The address is taken before the journal is
 * touched, so that a busy port leaves no trace on the disk; who connects before recovery is over waits for its greeting.
 * Stop is the reverse. State: volatile; everything durable is behind the journal.
 */
import { once } from 'node:events';
import type { Server as HttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { closeEach } from '../actors/closing.ts';
import type { Inspector } from '../actors/host.ts';
import type { Limits } from '../actors/limits.ts';
import type { Principal, RecoverySummary } from '../actors/message.ts';
import type { Clock, Engine, Ids, Journal, Telemetry } from '../actors/ports.ts';
import { createSystem } from '../actors/system.ts';
import { createClock } from './clock.ts';
import { catalog } from './commands/catalog.ts';
import { createGreeting, recoveryAnnouncement } from './commands/greeting.ts';
import { createIntake } from './commands/intake.ts';
import { createRegistry } from './commands/registry.ts';
import { secretFields } from './commands/secret-fields.ts';
import { isLoopback, type Config } from './config.ts';
import { createEchoEngine } from './engines/echo.ts';
import { createPiEngine } from './engines/pi.ts';
import { createScriptedEngine } from './engines/scripted.ts';
import { createIds } from './ids.ts';
import { ListenerWatch } from './listener-watch.ts';
import { fingerprint } from './journal/fingerprint.ts';
import { createMemoryJournal } from './journal/memory.ts';
import { createSqliteJournal } from './journal/sqlite.ts';
import { createRedaction } from './journal/redaction.ts';
import { frames } from './protocol/frames.ts';
import { createBus } from './telemetry/bus.ts';
import { ACCEPT_BACKLOG, createHttpListener, urlOf } from './transports/http.ts';
import { createEventRoutes } from './transports/event-routes.ts';
import { createStdioTransport, type StdioEnd, type StdioStreams } from './transports/stdio.ts';
import { createWebSocketTransport } from './transports/websocket.ts';
import { packageVersion } from './version.ts';

/** A server that is made and not started yet, or was. */
export interface Server {
  /** @throws StartRefused or JournalRefused; everything is closed again then. */
  start(): Promise<StartedServer>;
  /** Drains, closes everything, and settles when nothing of the server is left. Idempotent. */
  stop(): Promise<void>;
  /**
   * Shows every actor to an inspector, those that run already first, until the returned function is called: its chart by
   * XState's inspection events, and its place in the supervision tree. Called before `start`, it misses none.
   */
  inspect(inspector: Inspector): () => void;
}

/** What a start found. */
export interface StartedServer {
  /** Absent when nothing listens: then stdio is the only way in. */
  readonly listening?: Listening;
  readonly recovery: RecoverySummary;
}

/** Where clients reach a server that listens; `url` is for people and programs alike. */
export interface Listening {
  readonly host: string;
  readonly port: number;
  readonly url: string;
}

/** Parts that an embedding program or a test replaces. */
export interface ServerParts {
  readonly clock?: Clock;
  readonly ids?: Ids;
  readonly journal?: Journal;
  readonly engines?: readonly Engine[];
  readonly telemetry?: Telemetry;
  /** What failed goes on failing after every restart: the process has to end. The default throws, which ends it. */
  readonly onFatal?: (error: Error) => void;
  /** For the client on stdio; the default is the process's own stdin and stdout. */
  readonly stdio?: StdioStreams;
  /** The client on stdio has said all, or is gone: time to stop. The default stops the server. */
  readonly onStdioEnd?: (reason: StdioEnd) => void;
}

/** A refusal to start, in one line that names what is in the way and the remedy. No data was touched. */
export class StartRefused extends Error {
  override readonly name = 'StartRefused';
  readonly reason: 'address' | 'engine';

  constructor(reason: 'address' | 'engine', message: string, cause?: unknown) {
    super(message, { cause });
    this.reason = reason;
  }
}

/** As long as there is no authentication, whoever reaches the loopback address is the operator. */
const LOCAL_PRINCIPAL: Principal = { id: 'local', scopes: ['observe', 'drive', 'approve', 'exec', 'operate'] };

/** Makes a server; nothing is opened before `start`. What `parts` leaves out comes along. */
export function createServer(config: Config, parts: ServerParts = {}): Server {
  const clock = parts.clock ?? createClock();
  const telemetry = parts.telemetry ?? createBus();
  const journal = parts.journal ?? createJournal(config);
  const engines = parts.engines ?? createEngines(config);
  const { connectionsMax, frameBytesMax, outgoingBytesMax } = config.limits;

  let starting: Promise<StartedServer> | undefined;
  let stopping: Promise<void> | undefined;
  /** Restarting did not help: there is nothing to drain into. */
  let failed = false;

  const registry = createRegistry(catalog);
  const system = createSystem(
    {
      clock,
      ids: parts.ids ?? createIds(),
      journal,
      engines,
      frames,
      intake: createIntake({ registry, frameBytesMax }),
      telemetry,
      redaction: createRedaction(config.redaction, secretFields(catalog)),
      fingerprint,
      greeting: createGreeting({
        transports: transportsOf(config),
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
      upkeep: {
        backupIntervalMs: config.backup.intervalMs || null,
        compactionIntervalMs: config.compaction.intervalMs || null,
        keptMs: config.idempotency.ttlMs,
        retention: {
          maxAgeMs: config.journal.retention.maxAgeMs || null,
          maxBytes: config.journal.retention.maxBytes || null,
        },
      },
      onFatal(error) {
        failed = true;
        (parts.onFatal ?? rethrow)(error);
      },
      restartTransports: () => watch.restart(),
    },
  );
  const events = createEventRoutes(
    { reception: system, clock, telemetry },
    { principal: LOCAL_PRINCIPAL, keepAliveMs: config.heartbeat.intervalMs },
  );
  const listener = createHttpListener({ connectionsMax, isOwnHost: isLoopback, routes: [events] });
  const watch = new ListenerWatch(listener, clock, (error) => system.transportsFailed(error));
  const webSockets = createWebSocketTransport(
    listener,
    { reception: system, clock, telemetry },
    { connectionsMax, frameBytesMax, isOwnHost: isLoopback, principal: LOCAL_PRINCIPAL },
  );

  // Only then: to look at process.stdin is to open it.
  const stdio = config.stdio
    ? createStdioTransport(
        parts.stdio ?? { input: process.stdin, output: process.stdout },
        { reception: system, clock, telemetry },
        {
          frameBytesMax,
          outgoingBytesMax,
          principal: LOCAL_PRINCIPAL,
          onEnd: parts.onStdioEnd ?? (() => void (stopping ??= stop())),
        },
      )
    : undefined;

  async function start(): Promise<StartedServer> {
    try {
      await prepare(engines.find(({ kind }) => kind === config.engine));
      // Whoever started this server has its place, also when clients of the listener take all others.
      stdio?.connect();
      const listening = await listen(listener, config);
      // Trouble with a single accept (no file descriptor left) must not end the process.
      listener.on('error', (error) => telemetry.observe({ level: 'error', message: 'the listener failed', error }));
      const recovery = await system.start();
      stdio?.read();
      if (listening === undefined) return { recovery };
      watch.start(listening);
      return { listening, recovery };
    } catch (error) {
      await closeAll();
      throw error;
    }
  }

  async function stop(): Promise<void> {
    const started = await starting?.then(
      () => true,
      () => false,
    );
    // A start that was refused has closed everything itself.
    if (started === false) return;
    watch.stop();
    try {
      if (started === true && !failed) await system.drain();
    } finally {
      await closeAll();
    }
  }

  /** In the reverse order of the start. What has closed already does not mind. */
  async function closeAll(): Promise<void> {
    await closeTransports();
    await closeEach([...engines, journal]);
  }

  async function closeTransports(): Promise<void> {
    await Promise.all([stdio?.stop(), webSockets.stop(), events.stop()]);
    if (!listener.listening) return;
    const closed = once(listener, 'close');
    listener.close();
    listener.closeAllConnections();
    await closed;
  }

  return {
    start: () => (starting ??= start()),
    stop: () => (stopping ??= stop()),
    inspect: (inspector) => system.inspect(inspector),
  };
}

function createJournal({ backup, idempotency, journal, dataDir }: Config): Journal {
  if (journal.kind === 'memory') return createMemoryJournal();
  const { dir, keep } = backup;
  const backups = { keep, idsMax: idempotency.entriesMax, ...(dir !== null && { dir }) };
  return createSqliteJournal({ dataDir, backups });
}

function createEngines({ allowCrash, dataDir, pi }: Config): Engine[] {
  return [
    createEchoEngine(),
    createScriptedEngine({ allowCrash }),
    createPiEngine({
      dataDir,
      ...(pi.modulePath !== null && { modulePath: pi.modulePath }),
      ...(pi.agentDir !== null && { agentDir: pi.agentDir }),
    }),
  ];
}

function transportsOf({ port, stdio }: Config): string[] {
  return [...(port === null ? [] : ['websocket', 'http']), ...(stdio ? ['stdio'] : [])];
}

/** What the runtime takes of a configuration. */
export function limitsOf(config: Config): Limits {
  const { limits, timeouts, session, heartbeat, idempotency, recovery, supervision, journal, passivation } = config;
  return {
    ...limits,
    ...timeouts,
    heartbeatIntervalMs: heartbeat.intervalMs,
    heartbeatTimeoutMs: heartbeat.timeoutMs,
    idempotencyEntriesMax: idempotency.entriesMax,
    idempotencyCacheBytesMax: idempotency.cacheBytesMax,
    lease: session.ttl,
    requeue: recovery.requeue,
    auditReads: journal.auditReads,
    attemptsMax: supervision.attemptsMax,
    snapshotEvery: journal.snapshotEvery,
    checkpointEvery: journal.checkpointEvery,
    passivationIdleMs: passivation.idleMs,
  };
}

/** The engine of sessions that name none has to be there; others are loaded when a session asks for them. */
async function prepare(engine: Engine | undefined): Promise<void> {
  if (engine === undefined || engine.ready) return;
  try {
    await engine.prepare();
  } catch (error) {
    throw new StartRefused('engine', `engine ${engine.kind}: ${(error as Error).message}`, error);
  }
}

async function listen(listener: HttpServer, { host, port }: Config): Promise<Listening | undefined> {
  if (port === null) return undefined;
  listener.listen({ host, port, backlog: ACCEPT_BACKLOG });
  try {
    await once(listener, 'listening');
  } catch (error) {
    throw new StartRefused('address', addressProblem(error as NodeJS.ErrnoException, host, port), error);
  }
  const address = listener.address() as AddressInfo;
  // A name is what the resolver says it is.
  if (isLoopback(address.address)) {
    return { host: address.address, port: address.port, url: urlOf(address, 'http') };
  }
  const problem = `host ${host} means ${address.address} here, which other machines can reach: use 127.0.0.1 or ::1`;
  throw new StartRefused('address', problem);
}

function addressProblem({ code = '', message }: NodeJS.ErrnoException, host: string, port: number): string {
  const another = 'choose another port with --port (0 takes a free one)';
  if (code === 'EADDRINUSE')
    return `port ${port} on ${host} is in use: stop the program that listens there, or ${another}`;
  if (code === 'EACCES') return `port ${port} on ${host} is not allowed for this user: ${another}`;
  return `host ${host} cannot be listened on (${code || message}): use --host 127.0.0.1`;
}

function rethrow(error: Error): void {
  setImmediate(() => {
    throw error;
  });
}
