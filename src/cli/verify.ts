/**
 * `troupe verify`: checks the journal of a data directory without a server, tells what is wrong with it line by line, and how
 * much was checked. Changes nothing. State: none.
 */
import type { JournalProblem } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import type { FlagValue } from '../config-sources.ts';
import { verifyDirectory } from '../journal/sqlite-verify.ts';
import type { DirectoryReport } from '../journal/sqlite-verify.ts';
import { exitCodes } from './exit-codes.ts';
import { counted } from './counted.ts';
import { loadOffline } from './load-offline.ts';
import { printable } from './offline.ts';
import { createProgress } from './progress.ts';
import type { Progress } from './progress.ts';
import { Refusal } from './refusal.ts';

export interface VerifyCommand {
  readonly flags: readonly FlagValue[];
  readonly file: string | undefined;
  readonly json: boolean;
}

/** Sets the exit code of the process: 0 when the journal is clean, 1 when it is not. */
export function verify({ flags, file, json }: VerifyCommand): void {
  const { dataDir, idempotency } = loadOffline(flags, file);
  const progress = createProgress(process.stderr);
  const startedAt = performance.now();
  const report = check(dataDir, idempotency.entriesMax, progress);
  progress.clear();
  const tookMs = Math.round(performance.now() - startedAt);
  if (json) process.stdout.write(`${JSON.stringify({ dataDir, ...report, tookMs })}\n`);
  else process.stdout.write(`${linesOf(report).join('\n')}\n`);
  process.exitCode = report.ok ? exitCodes.done : exitCodes.failed;
}

function check(dataDir: string, idsMax: number, progress: Progress): DirectoryReport {
  try {
    return verifyDirectory(dataDir, { idsMax, onProgress: (entries, of) => progress.show(entries, of) });
  } catch (error) {
    progress.clear();
    if (error instanceof JournalRefused) throw new Refusal(exitCodes.journal, error.message);
    throw error;
  }
}

function linesOf(report: DirectoryReport): string[] {
  const { entries, lanes, sessions, commands, outcomes, openCommands, boots, problemCount, problems } = report;
  const checked =
    `checked ${counted(entries, 'entry', 'entries')} in ${counted(lanes, 'lane')}, ${counted(commands, 'command')} ` +
    `(${outcomes} with an outcome, ${openCommands} open), ${counted(sessions, 'session')}, ${counted(boots, 'boot')}`;
  const verdict = report.ok ? 'clean' : counted(problemCount, 'problem');
  const unlisted = problemCount - problems.length;
  return [
    ...problems.map(lineOf),
    ...(unlisted > 0 ? [`... and ${counted(unlisted, 'more problem')}`] : []),
    `${report.journal}: ${verdict}; ${checked}`,
  ];
}

function lineOf({ lane, laneSeq, offset, problem }: JournalProblem): string {
  const where = lane === undefined ? '' : `${lane} laneSeq ${laneSeq ?? '?'} `;
  const line = offset === 0 ? `the file: ${problem}` : `${where}offset ${offset}: ${problem}`;
  return printable(line);
}
