/**
 * `troupe serve`: runs one server as this process, from its options to its exit code.
 *
 * What keeps it from starting is thrown and told by the program; from then on the log tells. The process ends with 0 when
 * it was told to stop, by a signal or by the end of its client on stdio, and has drained; at once with 128 + N at a second
 * signal N; and with 1 and one fatal line when it can't go on. State: volatile.
 */
import { writeSync } from 'node:fs';
import { constants } from 'node:os';
import { JournalRefused } from '../../actors/ports.ts';
import { ConfigError, loadConfig, type ConfigSources, type LoadedConfig } from '../config-sources.ts';
import { createRedaction } from '../journal/redaction.ts';
import { createServer, StartRefused, type Server, type StartedServer } from '../server.ts';
import { createBus, type Level } from '../telemetry/bus.ts';
import { createLogger, type LogLevel } from '../telemetry/logger.ts';
import { createOutput, type Output } from '../telemetry/output.ts';
import { exitCodes } from './exit-codes.ts';
import { Refusal } from './refusal.ts';
import { claimStdio } from './stdio-streams.ts';
import { createStopSignals } from './stop-signals.ts';
import { welcome } from './welcome.ts';

/** How long the end of the process waits for a slow reader of its log. */
const FLUSH_TIMEOUT_MS = 1_000;

export async function serve(sources: Omit<ConfigSources, 'environment'>): Promise<void> {
  const { config, warnings } = load({ ...sources, environment: process.env });
  const stdio = config.stdio ? claimStdio() : undefined;
  // Of a server that speaks on stdout, this is stderr.
  const { stdout } = process;
  const terminal = stdout.isTTY && !process.env['CI'];
  const redaction = createRedaction(config.redaction);
  const output = createOutput(stdout);
  const logger = createLogger(output, {
    level: config.logLevel,
    pretty: terminal,
    color: terminal && stdout.hasColors(),
    redact: redaction === undefined ? undefined : (line) => redaction.line(line),
  });
  const bus = createBus();
  const level = busLevel(config.logLevel);
  if (level !== undefined) bus.subscribe(level, (observation) => logger.write(observation));

  const shown = (text: string): string => redaction?.text(text) ?? text;

  function fail(message: string, error: unknown): never {
    logger.fatal(message, error);
    // Nobody waits here: what is wrong must not go on. Lines that a slow reader has not taken are lost, this one is not.
    try {
      if (output.waitingBytes > 0) writeSync(process.stderr.fd, `troupe: fatal: ${message}: ${shown(String(error))}\n`);
    } finally {
      process.exit(exitCodes.failed);
    }
  }
  process.on('uncaughtException', (error) => fail('uncaught exception', error));
  process.on('unhandledRejection', (reason) => fail('unhandled rejection', reason));
  // A terminal that closes takes both streams along; stdout has its own guard.
  process.stderr.on('error', () => undefined);

  const server = createServer(config, {
    telemetry: bus,
    onFatal: (error) => fail('restarting does not help', error),
    ...(stdio && { stdio }),
    onStdioEnd: (reason) => stop({ reason }, reason === 'defect' ? exitCodes.failed : exitCodes.done),
  });

  let stopping = false;
  function stop(why: object, code: number): void {
    if (stopping) return;
    stopping = true;
    bus.observe({ level: 'info', message: 'stopping', ...why });
    server.stop().then(
      () => {
        bus.observe({ level: 'info', message: 'stopped' });
        void exit(output, code);
      },
      (error: unknown) => fail('the server did not stop in order', error),
    );
  }

  const onSignal = createStopSignals(() => performance.now(), {
    first: (signal) => stop({ signal }, exitCodes.done),
    second: (signal) => process.exit(128 + constants.signals[signal]),
  });
  process.on('SIGTERM', onSignal);
  process.on('SIGINT', onSignal);

  for (const warning of warnings) bus.observe({ level: 'warn', message: warning });
  const { listening, recovery } = await start(server);
  const { engine, dataDir, journal } = config;
  bus.observe({
    level: 'info',
    message: 'listening',
    ...listening,
    ...(stdio && { stdio: true }),
    engine,
    journal: recovery.journal,
    durable: recovery.durable,
    sessions: recovery.sessions,
    recoveredInFlight: recovery.classified.length,
    requeued: recovery.requeued,
  });
  if (!terminal || listening === undefined) return;
  output.write(welcome({ ...listening, engine, data: journal.kind === 'memory' ? 'in memory' : dataDir }));
}

function load(sources: ConfigSources): LoadedConfig {
  try {
    return loadConfig(sources);
  } catch (error) {
    if (error instanceof ConfigError) throw new Refusal(exitCodes.usage, ...error.problems);
    throw error;
  }
}

async function start(server: Server): Promise<StartedServer> {
  try {
    return await server.start();
  } catch (error) {
    if (error instanceof StartRefused) throw new Refusal(exitCodes[error.reason], error.message);
    if (error instanceof JournalRefused) throw new Refusal(exitCodes.journal, error.message);
    throw error;
  }
}

async function exit(output: Output, code: number): Promise<void> {
  await output.flush(FLUSH_TIMEOUT_MS);
  process.exit(code);
}

/** From where on the log listens; fatal lines do not come over the bus. */
function busLevel(level: LogLevel): Level | undefined {
  return level === 'fatal' || level === 'silent' ? undefined : level;
}
