/**
 * `troupe history`: what was asked of a server and how it ended, from its journal, with the filters and pages of
 * `get_command_history`. Changes nothing, beside a server or without one. State: none.
 */
import { z } from 'zod';
import { filterProblem, historyFields, historyPage } from '../commands/history-page.ts';
import type { HistoryFilters } from '../commands/history-page.ts';
import type { JsonObject } from '../commands/session-info.ts';
import { exitCodes } from './exit-codes.ts';
import { printable, withJournal } from './offline.ts';
import type { OfflineCommand } from './offline.ts';
import { Refusal } from './refusal.ts';

export interface HistoryCommand extends OfflineCommand {
  readonly filters: HistoryFilters;
  /** All pages, and not one. */
  readonly all: boolean;
  readonly json: boolean;
}

const schema = z.object(historyFields);

/** The command's options under the names of the protocol. */
const FLAGS: Readonly<Record<string, string>> = {
  sessionIdFilter: '--session',
  commandId: '--command',
  commandType: '--type',
  fromTimestamp: '--from',
  toTimestamp: '--to',
};

export async function history(command: HistoryCommand): Promise<void> {
  const filters = checked(command.filters);
  const { all, json } = command;
  await withJournal(command, async (reader) => {
    const place = { newest: reader.newest, journalPath: reader.journal };
    let { cursor } = filters;
    if (!json) process.stdout.write(`${HEADING}\n`);
    for (let shown = 0; ;) {
      const page = await historyPage(reader, place, cursor === undefined ? filters : { ...filters, cursor });
      const entries = page['entries'] as JsonObject[];
      shown += entries.length;
      const lines = entries.map((entry) => (json ? JSON.stringify(entry) : rowOf(entry)));
      if (lines.length > 0) process.stdout.write(`${lines.join('\n')}\n`);
      const next = page['nextCursor'];
      if (typeof next !== 'string') break;
      cursor = next;
      // An empty page says that much was read, not that nothing is there.
      if (all || shown === 0) continue;
      const line = `there is more: --cursor ${next}, or --all`;
      process.stderr.write(`troupe: ${line}\n`);
      break;
    }
  });
}

const COLUMNS = [24, 10, 9, 20, 22, 18];
const HEADING = row(['time', 'phase', 'lane', 'type', 'outcome', 'session', 'command']);

/** One phase of a command. */
function rowOf(entry: JsonObject): string {
  const { recordedAt, phase, lane, commandType, sessionId, commandId, sessionVersion, errorCode, success } = entry;
  const version = sessionVersion === undefined ? '' : `, version ${String(sessionVersion)}`;
  const outcome = success === undefined ? '' : success === true ? `ok${version}` : String(errorCode ?? 'failed');
  const time = new Date(Number(recordedAt)).toISOString();
  const name = String(phase).replace('command_', '');
  const marks = ['blanked', 'redacted'].flatMap((mark) => (entry[mark] === true ? [` (${mark})`] : [])).join('');
  const command = `${String(commandId ?? '')}${marks}`;
  return row([time, name, lane ?? '', commandType ?? '', outcome, sessionId ?? '', command].map(String));
}

function row(cells: readonly string[]): string {
  return cells
    .map((cell, index) => printable(cell).padEnd(COLUMNS[index] ?? 0))
    .join(' ')
    .trimEnd();
}

function checked(filters: HistoryFilters): HistoryFilters {
  const problem = schema.safeParse(filters).error?.issues[0] ?? filterProblem(filters);
  if (problem === undefined) return filters;
  const path = String(Array.isArray(problem.path) ? problem.path[0] : problem.path);
  throw new Refusal(exitCodes.usage, `${FLAGS[path] ?? `--${path}`}: ${problem.message}`);
}
