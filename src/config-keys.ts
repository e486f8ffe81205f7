/**
 * The keys of the configuration: which there are, what they are called in the environment, which one a misspelt one was
 * meant to be, and which are promised for a later version. State: none.
 */
import { defaultConfig } from './config.ts';

type Value = string | number | boolean | null | readonly string[];

/** Keys with their defaults, dotted, in the order of the schema. */
export const knownKeys: ReadonlyMap<string, Value> = flatten(defaultConfig);

function flatten(section: object, prefix = ''): Map<string, Value> {
  const found = new Map<string, Value>();
  for (const [key, value] of Object.entries(section) as [string, Value | object][]) {
    if (value !== null && typeof value === 'object' && !Array.isArray(value)) {
      for (const [path, leaf] of flatten(value, `${prefix}${key}.`)) found.set(path, leaf);
    } else found.set(prefix + key, value as Value);
  }
  return found;
}

/** What somebody can have meant: every key, and every section. */
export const knownNames: readonly string[] = [
  ...new Set([...knownKeys.keys()].flatMap((path) => [path, ...path.split('.').slice(0, -1)])),
];

/** Keys, and sections of keys, of later versions. An operator must not believe in a setting that does nothing. */
const plannedKeys: readonly (readonly [path: string, what: string])[] = [
  ['alerts', 'alerts are'],
  ['auth', 'authentication is'],
  ['authTokenFile', 'authentication is'],
  ['breaker', 'circuit breakers are'],
  ['rateLimit', 'rate limiting is'],
  ['timeouts.uiRequestMs', 'questions to people are'],
];

/** Why a key that is none of this version's is known all the same. */
export function plannedFor(path: string): string | undefined {
  const planned = plannedKeys.find(([key]) => path === key || path.startsWith(`${key}.`) || key.startsWith(`${path}.`));
  return planned && `${planned[1]} not part of this version yet`;
}

/** `limits.sessionsMax` is TROUPE_LIMITS_SESSIONS_MAX. */
export function environmentName(path: string): string {
  const words = path.replace(/\./g, '_').replace(/([a-z])([A-Z])/g, '$1_$2');
  return `TROUPE_${words.toUpperCase()}`;
}

/** The variable of a planned key, or of a key in a planned section. */
export function plannedVariable(name: string): string | undefined {
  const found = plannedKeys.find(([key]) => {
    const own = environmentName(key);
    return name === own || name.startsWith(`${own}_`);
  });
  return found && plannedFor(found[0]);
}

/** The candidate that takes the fewest changes of a character; a right name in the wrong section counts as near. */
export function nearest(name: string, candidates: Iterable<string>): string {
  let best = '';
  let least = Infinity;
  for (const candidate of candidates) {
    const distance = Math.min(
      editDistance(name.toLowerCase(), candidate.toLowerCase()),
      1 + editDistance(lastWord(name), lastWord(candidate)),
    );
    if (distance < least) [best, least] = [candidate, distance];
  }
  return best;
}

const lastWord = (path: string): string => path.slice(path.lastIndexOf('.') + 1).toLowerCase();

/** Levenshtein's, one row of the table at a time. */
function editDistance(from: string, to: string): number {
  let row = Array.from({ length: to.length + 1 }, (_, index) => index);
  for (let i = 1; i <= from.length; i += 1) {
    const next = [i];
    for (let j = 1; j <= to.length; j += 1) {
      const replaced = row[j - 1]! + (from[i - 1] === to[j - 1] ? 0 : 1);
      next.push(Math.min(replaced, row[j]! + 1, next[j - 1]! + 1));
    }
    row = next;
  }
  return row[to.length]!;
}
