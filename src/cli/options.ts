/**
 * The options of `troupe serve`: each is a key of the configuration under a shorter name. State: none.
 */
import { Option } from 'commander';
import { defaultConfig } from '../config.ts';
import { environmentName, plannedFor } from '../config-keys.ts';
import type { FlagValue } from '../config-sources.ts';

interface ServeOption {
  readonly path: string;
  readonly flag: string;
  /** Absent: a switch. */
  readonly argument?: string;
  readonly text: string;
}

const { host, port, dataDir, engine, logLevel } = defaultConfig;

const serveOptions: readonly ServeOption[] = [
  { path: 'host', flag: '--host', argument: 'host', text: `address to listen on; loopback only (default ${host})` },
  { path: 'port', flag: '--port', argument: 'port', text: `port to listen on; 0 takes a free one (default ${port})` },
  {
    path: 'stdio',
    flag: '--stdio',
    text: 'serve one client on stdin and stdout; listen as well only if a port was asked for',
  },
  { path: 'dataDir', flag: '--data-dir', argument: 'dir', text: `where the journal is kept (default ${dataDir})` },
  {
    path: 'engine',
    flag: '--engine',
    argument: 'kind',
    text: `engine of sessions that name none: echo, scripted or pi (default ${engine})`,
  },
  {
    path: 'logLevel',
    flag: '--log-level',
    argument: 'level',
    text: `debug, info, warn, error, fatal or silent (default ${logLevel})`,
  },
  { path: 'allowCrash', flag: '--allow-crash', text: 'let scripts of the scripted engine end this process: for tests' },
];

const configOption = new Option(
  '--config <file>',
  'JSON file with any of the keys of "config --print-default" [TROUPE_CONFIG]',
);

export function commanderOptions(): Option[] {
  const own = serveOptions.map(
    ({ path, flag, argument, text }) =>
      new Option(argument === undefined ? flag : `${flag} <${argument}>`, `${text} [${environmentName(path)}]`),
  );
  return [...own, configOption];
}

/** What commander found, under the names of the configuration. */
export function flagValues(found: Readonly<Record<string, string | boolean>>): FlagValue[] {
  return serveOptions.flatMap(({ path, flag }) => {
    // All flags are the last word of their key, so commander calls them what the configuration does.
    const value = found[path];
    return value === undefined ? [] : [{ path, flag, value }];
  });
}

/** Why an option that is none of this version's is known all the same. */
export function plannedOption(flag: string): string | undefined {
  const path = flag.replace(/^--/, '').replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
  return plannedFor(path);
}
