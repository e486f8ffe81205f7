/** The configuration of a command that looks after a journal without a server; a mistake in it is the command's refusal. */
import { ConfigError, loadConfig } from '../config-sources.ts';
import type { FlagValue } from '../config-sources.ts';
import type { Config } from '../config.ts';
import { exitCodes } from './exit-codes.ts';
import { Refusal } from './refusal.ts';

export function loadOffline(flags: readonly FlagValue[], file: string | undefined): Config {
  try {
    return loadConfig({ flags, file, environment: process.env }).config;
  } catch (error) {
    if (error instanceof ConfigError) throw new Refusal(exitCodes.usage, ...error.problems);
    throw error;
  }
}
