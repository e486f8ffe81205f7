/**
 * The log: pino over an output of the process, as JSON lines or, for people at a terminal, as text.
 *
 * Every line is written in the moment it is logged. `commandId` and `sessionId` are fields of the line, so that one command
 * or one session can be followed by a filter. State: volatile.
 */
import { pino, stdSerializers } from 'pino';
import { prettyFactory } from 'pino-pretty';
import type { Observation } from '../../actors/ports.ts';
import type { Output } from './output.ts';

/** `silent` writes nothing at all, not even the fatal line. */
export type LogLevel = Observation['level'] | 'fatal' | 'silent';

export interface Logger {
  /** A line for an observation of the runtime. */
  write(observation: Observation): void;
  /** The last line of a process that can't go on. */
  fatal(message: string, error: unknown): void;
}

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Text instead of JSON. */
  readonly pretty: boolean;
  readonly color: boolean;
  /** What is taken away from a line before it is written. */
  readonly redact?: ((line: string) => string) | undefined;
}

export function createLogger(output: Output, options: LoggerOptions): Logger {
  const prettify = options.pretty
    ? prettyFactory({ colorize: options.color, translateTime: 'SYS:HH:MM:ss.l', ignore: 'pid', singleLine: true })
    : undefined;
  const log = pino(
    {
      level: options.level,
      base: { pid: process.pid },
      // A journal's or an engine's error may stand under either name.
      serializers: { err: stdSerializers.err, error: stdSerializers.err },
    },
    {
      write: (line: string) => {
        const shown = options.redact?.(line) ?? line;
        output.write(prettify === undefined ? shown : prettify(shown));
      },
    },
  );

  return {
    write({ level, message, ...fields }) {
      const lost = output.hasRoom ? output.takeLost() : 0;
      if (lost > 0) log.warn({ lost }, 'log lines were dropped because their reader was too slow');
      log[level](fields, message);
    },
    fatal(message, error) {
      log.fatal({ err: error instanceof Error ? error : new Error(String(error)) }, `fatal: ${message}`);
    },
  };
}
