/**
 * `troupe export --as test`: a window as a test of vitest that imports nothing but the installed package. It was run once before
 * it is written: what came out otherwise then is not expected of it, and stands in it with the reason. State: none.
 */
import type { Entry } from '../../actors/entry.ts';
import type { Redaction } from '../../actors/ports.ts';
import { defaultConfig } from '../config.ts';
import type { Config, ConfigInput } from '../config.ts';
import { replayBundle } from '../testing/replay-bundle.ts';
import { counted } from './counted.ts';
import { exitCodes } from './exit-codes.ts';
import { printable } from './offline.ts';
import type { LeftOut } from './left-out.ts';
import { differencesOf, regressionOf } from './regression-bundle.ts';
import type { Regression } from './regression-bundle.ts';
import { Refusal } from './refusal.ts';

/** What of the configuration decides how a command ends. */
const DECISIVE = ['engine', 'limits', 'timeouts', 'idempotency', 'session', 'supervision'] as const;

export interface ExportedTest {
  readonly text: string;
  readonly commands: number;
  readonly leftOut: number;
}

export async function testOf(
  entries: readonly Entry[],
  config: Config,
  redaction: Redaction | undefined,
): Promise<ExportedTest> {
  const without = new Map<string, string>();
  for (;;) {
    const found = regressionOf(entries, redaction, without);
    const regression = { ...found, bundle: { ...found.bundle, ...configOf(config) } };
    const before = without.size;
    if (regression.bundle.commands.length > 0) {
      const replayed = await replayBundle(regression.bundle);
      for (const [session, why] of differencesOf(regression, replayed, entries)) without.set(session, why);
    }
    // Each round leaves out one session more, or is the last.
    if (without.size > before) continue;
    const [first] = regression.leftOut;
    if (regression.bundle.commands.length === 0) {
      const why = first === undefined ? 'it holds no commands' : `${first.what}: ${first.reason}`;
      throw new Refusal(exitCodes.failed, printable(`nothing of that window can be run again: ${why}`));
    }
    return {
      text: fileOf(regression),
      commands: regression.bundle.commands.length,
      leftOut: regression.leftOut.length,
    };
  }
}

function configOf(config: Config): { readonly config?: ConfigInput } {
  const changed = DECISIVE.filter((key) => JSON.stringify(config[key]) !== JSON.stringify(defaultConfig[key]));
  if (changed.length === 0) return {};
  return { config: Object.fromEntries(changed.map((key) => [key, config[key]])) };
}

function fileOf({ bundle, expected, leftOut }: Regression): string {
  const title = `${counted(bundle.commands.length, 'recorded command')} end as they did`;
  return [
    '/**',
    ' * What was asked of a server and how it ended, as a test: written by `troupe export --as test`. The commands run again, in',
    ' * the order and behind what they came behind, against a server in memory whose clock is simulated.',
    ...leftOutLines(leftOut),
    ' */',
    "import { expect, it } from 'vitest';",
    "import { replayBundle } from 'troupe/testing';",
    "import type { Replayed, ReplayBundle } from 'troupe/testing';",
    '',
    `const recorded: ReplayBundle = ${asSource(bundle)};`,
    '',
    `const expected: Replayed = ${asSource(expected)};`,
    '',
    `it(${asSource(title)}, { timeout: 60_000 }, async () => {`,
    '  expect(await replayBundle(recorded)).toEqual(expected);',
    '});',
    '',
  ].join('\n');
}

function leftOutLines(leftOut: readonly LeftOut[]): string[] {
  if (leftOut.length === 0) return [];
  const lines = leftOut.map(({ what, reason }) => ` * - ${inComment(what)}: ${inComment(reason)}`);
  return [' *', ' * Not in it:', ...lines];
}

/** JSON that is a literal of a program as well. */
function asSource(value: unknown): string {
  return JSON.stringify(value, undefined, 2).replaceAll('\u2028', '\\u2028').replaceAll('\u2029', '\\u2029');
}

/** What comes from a journal must not end the comment. */
function inComment(text: string): string {
  return text.replaceAll(/[\u0000-\u001f\u007f-\u009f\u2028\u2029]/g, '\ufffd').replaceAll('*/', '*\u200b/');
}
