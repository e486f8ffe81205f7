/**
 * Where the options of a server come from: command line over environment over file over default.
 *
 * Whatever is wrong is said with the name under which the user gave it, with what would be right. Nothing is written and
 * nothing but the file is read. State: none.
 */
import { readFileSync } from 'node:fs';
import { resolve } from 'node:path';
import { checkConfig, defaultConfig, type Config } from './config.ts';
import { environmentName, knownKeys, knownNames, nearest, plannedFor, plannedVariable } from './config-keys.ts';

/** An option of the command line: `{path: 'dataDir', flag: '--data-dir', value: 'x'}`. */
export interface FlagValue {
  readonly path: string;
  readonly flag: string;
  readonly value: string | boolean;
}

export interface ConfigSources {
  readonly flags: readonly FlagValue[];
  /** `--config`; else TROUPE_CONFIG. */
  readonly file?: string | undefined;
  readonly environment: Readonly<Record<string, string | undefined>>;
}

export interface LoadedConfig {
  readonly config: Config;
  /** What is odd and does not keep the server from starting. */
  readonly warnings: readonly string[];
}

/** One line for each thing that is wrong. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly string[];

  constructor(problems: readonly string[]) {
    super(problems.join('\n'));
    this.problems = problems;
  }
}

/** A value with the name under which the user knows it. */
interface Given {
  readonly value: unknown;
  readonly label: string;
}

const CONFIG_VARIABLE = 'TROUPE_CONFIG';
/** The pi engine reads this one by itself when it is used without a configuration. */
const PI_VARIABLE = 'TROUPE_PI_PATH';

export function loadConfig({ flags, file, environment }: ConfigSources): LoadedConfig {
  const given = new Map<string, Given>();
  const problems: string[] = [];
  const warnings: string[] = [];

  const path = file ?? nonEmpty(environment[CONFIG_VARIABLE]);
  if (path !== undefined) collectFile(path, file === undefined ? CONFIG_VARIABLE : '--config', given, problems);
  collectEnvironment(environment, given, problems, warnings);
  for (const { path: key, flag, value } of flags) {
    given.set(key, { value: converted(key, value), label: value === true ? flag : `${flag} ${String(value)}` });
  }

  const result = checkConfig(nested(given));
  if ('issues' in result) {
    for (const issue of result.issues) problems.push(`${labelOf(issue.path, given)}: ${issue.problem}`);
  }
  if (problems.length > 0 || 'issues' in result) throw new ConfigError(problems);
  return { config: { ...result.config, dataDir: resolve(result.config.dataDir) }, warnings };
}

function collectFile(path: string, option: string, given: Map<string, Given>, problems: string[]): void {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8').replace(/^\uFEFF/, ''));
  } catch (error) {
    const reason = (error as Error).message.replace(/\s+/g, ' ');
    const what = error instanceof SyntaxError ? 'is not valid JSON' : 'cannot be read';
    problems.push(`${option} ${path}: ${what} (${reason})`);
    return;
  }
  if (!isSection(content)) {
    problems.push(`${option} ${path}: must hold a JSON object with the keys of "troupe config --print-default"`);
    return;
  }
  collectSection(content, defaultConfig, '', path, given, problems);
}

function collectSection(
  section: Record<string, unknown>,
  defaults: object,
  prefix: string,
  file: string,
  given: Map<string, Given>,
  problems: string[],
): void {
  for (const [key, value] of Object.entries(section)) {
    const path = prefix + key;
    const fallback: unknown = Object.hasOwn(defaults, key) ? (defaults as Record<string, unknown>)[key] : undefined;
    if (fallback === undefined) {
      const planned = plannedFor(path);
      problems.push(
        planned === undefined
          ? `${path} in ${file}: unknown key; the nearest known one is ${nearest(path, knownNames)}`
          : `${path} in ${file}: ${planned}; remove the key`,
      );
    } else if (isSection(fallback)) {
      if (isSection(value)) collectSection(value, fallback, `${path}.`, file, given, problems);
      else problems.push(`${path} in ${file}: must be an object`);
    } else given.set(path, { value, label: `${path} in ${file}` });
  }
}

function collectEnvironment(
  environment: ConfigSources['environment'],
  given: Map<string, Given>,
  problems: string[],
  warnings: string[],
): void {
  const variables = new Map([...knownKeys.keys()].map((path) => [environmentName(path), path]));
  variables.set(PI_VARIABLE, 'pi.modulePath');
  for (const [name, text] of Object.entries(environment)) {
    // Set and empty is how compose files and shells say "not set".
    if (!name.startsWith('TROUPE_') || name === CONFIG_VARIABLE || nonEmpty(text) === undefined) continue;
    const path = variables.get(name);
    const planned = plannedVariable(name);
    if (path !== undefined) given.set(path, { value: converted(path, text!), label: `${name}=${text}` });
    else if (planned !== undefined) problems.push(`${name}: ${planned}; unset it`);
    // Somebody else's variable may begin with the same word, so this is no reason not to start.
    else warnings.push(`${name} is no option; the nearest one is ${nearest(name, variables.keys())}`);
  }
}

/** The text of a flag or a variable as the type that the key has; left alone when it is none of that type. */
function converted(path: string, value: string | boolean): unknown {
  const fallback = knownKeys.get(path);
  if (typeof fallback === 'number') return /^\d+$/.test(String(value)) ? Number(value) : value;
  if (Array.isArray(fallback)) return listOf(value);
  if (typeof fallback === 'boolean')
    return value === 'true' || value === '1' ? true : value === 'false' || value === '0' ? false : value;
  return value;
}

/** A list is given as JSON; what is none is left alone, and refused by its type. */
function listOf(value: string | boolean): unknown {
  try {
    return JSON.parse(String(value)) as unknown;
  } catch {
    return value;
  }
}

function nested(given: ReadonlyMap<string, Given>): Record<string, unknown> {
  const root: Record<string, unknown> = {};
  for (const [path, { value }] of given) {
    const keys = path.split('.');
    const last = keys.pop()!;
    let section = root;
    for (const key of keys) section = (section[key] ??= {}) as Record<string, unknown>;
    section[last] = value;
  }
  return root;
}

/** A default can be wrong only beside something that was given. */
function labelOf(path: string, given: ReadonlyMap<string, Given>): string {
  const entry = given.get(path);
  if (entry === undefined) return path;
  const shown = JSON.stringify(entry.value);
  return entry.label.startsWith(`${path} in `) ? `${entry.label} is ${shown}` : entry.label;
}

function isSection(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

const nonEmpty = (text: string | undefined): string | undefined => (text === '' ? undefined : text);
