/** The commands that look back: their options, and what is loaded when one of them is asked for. State: none. */
import type { Command } from 'commander';
import type { HistoryFilters } from '../commands/history-page.ts';
import { exitCodes } from './exit-codes.ts';
import { Refusal } from './refusal.ts';
import { timeOption, wholeNumber } from './offline.ts';
import { flagValues } from './options.ts';

type Found = Readonly<Record<string, string | boolean | undefined>>;

export const TIME_TRAVEL: ReadonlySet<string> = new Set(['history', 'replay', 'export']);

export function addTimeTravel(program: Command): void {
  program
    .command('history')
    .description('show what was asked of a server and how it ended, from its journal; changes nothing')
    .option('--session <id>', 'of this session alone')
    .option('--command <id>', 'this command alone')
    .option('--type <type>', 'commands of this type alone')
    .option('--lane <lane>', 'work or control')
    .option('--outcome <outcome>', 'success or failure')
    .option('--from <time>', 'recorded then or later: a date and time, or milliseconds since 1970')
    .option('--to <time>', 'recorded then or before')
    .option('--limit <n>', 'phases of a page, 1 to 500 (default 100)')
    .option('--backward', 'begin at the newest; a page is in the order of the journal all the same')
    .option('--cursor <cursor>', 'go on where an earlier page ended')
    .option('--all', 'all pages')
    .option('--json', 'print a line of JSON for each phase')
    .action(async (found: Found) => {
      const { history } = await import('./history.ts');
      await history({
        ...common(found),
        filters: filtersOf(found),
        all: found['all'] === true,
        json: found['json'] === true,
      });
    });

  program
    .command('replay')
    .description('rebuild a session as it was at any event of its history; changes nothing')
    .requiredOption('--session <id>', 'the session')
    .option('--to <seq>', 'number of the last event that counts (default: all there is)')
    .option('--diff <seq>', 'show what differs from that event')
    .option('--epoch <epoch>', 'which incarnation of a re-created id (default: the newest)')
    .option('--commands', 'list its commands with their outcomes, in the order of its lane')
    .option('--json', 'print one line of JSON')
    .action(async (found: Found) => {
      const { replay } = await import('./replay.ts');
      await replay({
        ...common(found),
        session: text(found, 'session') ?? '',
        to: wholeNumber('--to', text(found, 'to')),
        diff: wholeNumber('--diff', text(found, 'diff')),
        epoch: text(found, 'epoch'),
        commands: found['commands'] === true,
        json: found['json'] === true,
      });
    });
  addExport(program);
}

function addExport(program: Command): void {
  program
    .command('export')
    .description(
      'write a window of the journal to a file, as JSON lines or as a test, without what redaction takes away',
    )
    .requiredOption('--out <file>', 'where to; a file that is there stays as it is')
    .option('--as <form>', 'lines: entries as JSON; test: a vitest file that runs the commands again', 'lines')
    .option('--session <id>', 'of this session alone')
    .option('--from <time>', 'recorded then or later: a date and time, or milliseconds since 1970')
    .option('--to <time>', 'recorded then or before')
    .action(async (found: Found) => {
      const { exportBundle } = await import('./export.ts');
      await exportBundle({
        ...common(found),
        as: formOf(text(found, 'as')),
        out: text(found, 'out') ?? '',
        session: text(found, 'session'),
        from: timeOption('--from', text(found, 'from')),
        to: timeOption('--to', text(found, 'to')),
      });
    });
}

function formOf(form: string | undefined): 'lines' | 'test' {
  if (form === 'lines' || form === 'test') return form;
  throw new Refusal(exitCodes.usage, '--as must be lines or test');
}

function common(found: Found) {
  const { dataDir } = found;
  return { flags: flagValues(typeof dataDir === 'string' ? { dataDir } : {}), file: text(found, 'config') };
}

function filtersOf(found: Found): HistoryFilters {
  const given = {
    sessionIdFilter: text(found, 'session'),
    commandId: text(found, 'command'),
    commandType: text(found, 'type'),
    lane: text(found, 'lane'),
    outcome: text(found, 'outcome'),
    cursor: text(found, 'cursor'),
    fromTimestamp: timeOption('--from', text(found, 'from')),
    toTimestamp: timeOption('--to', text(found, 'to')),
    limit: wholeNumber('--limit', text(found, 'limit')),
    direction: found['backward'] === true ? 'backward' : undefined,
  };
  // Checked where they are used, by the schema of the protocol.
  return Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
}

function text(found: Found, name: string): string | undefined {
  const value = found[name];
  return typeof value === 'string' ? value : undefined;
}
