/**
 * `troupe verify`: checks the journal of a data directory without a server, tells what is wrong with it line by line, and how
 * much was checked. Changes nothing. State: none.
 */
import type { CheckCount, JournalProblem } from '../../actors/entry.ts';
import { JournalRefused } from '../../actors/ports.ts';
import { auditSnapshot } from '../../actors/session/snapshot-audit.ts';
import type { SnapshotFinding } from '../../actors/session/snapshot-audit.ts';
import type { FlagValue } from '../config-sources.ts';
import type { StoredSnapshot } from '../journal/sqlite-derived.ts';
import { DirectoryReader } from '../journal/sqlite-reading.ts';
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

/** With snapshots held against their lanes. */
type WholeReport = DirectoryReport & {
  readonly checks: { readonly snapshots: SnapshotCheck };
};

interface SnapshotCheck extends CheckCount {
  /** Of another version, or of a place that is no more: a start passes them over, and nothing can be said of them. */
  readonly passedOver: number;
}

/** Sets the exit code of the process: 0 when the journal is clean, 1 when it is not. */
export async function verify({ flags, file, json }: VerifyCommand): Promise<void> {
  const config = loadOffline(flags, file);
  const { dataDir, idempotency } = config;
  const progress = createProgress(process.stderr);
  const startedAt = performance.now();
  const report = await withSnapshots(
    check(dataDir, idempotency.entriesMax, progress),
    dataDir,
    config.limits.mailboxDepthMax,
  );
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

/** Where entries are damaged, folding them says nothing about snapshots. */
async function withSnapshots(report: DirectoryReport, dataDir: string, depth: number): Promise<WholeReport> {
  const count = { checked: 0, wrong: 0, passedOver: 0 };
  const problems: JournalProblem[] = [];
  const end = (): WholeReport => ({
    ...report,
    ok: report.ok && problems.length === 0,
    problemCount: report.problemCount + problems.length,
    problems: [...report.problems, ...problems],
    checks: { ...report.checks, snapshots: count },
  });
  if (!report.ok) return end();
  const reader = new DirectoryReader(dataDir);
  try {
    for (const snapshot of reader.snapshots()) {
      const finding = await findingOf(reader, snapshot, depth);
      if (finding.found === 'passed over') {
        count.passedOver += 1;
        continue;
      }
      count.checked += 1;
      if (finding.found === 'right') continue;
      count.wrong += 1;
      problems.push({ lane: snapshot.lane, offset: snapshot.offset, problem: finding.problem });
    }
  } finally {
    reader.close();
  }
  return end();
}

async function findingOf(reader: DirectoryReader, snapshot: StoredSnapshot, depth: number): Promise<SnapshotFinding> {
  if (snapshot.problem !== undefined) return { found: 'wrong', problem: snapshot.problem };
  try {
    return await auditSnapshot(reader, snapshot, depth);
  } catch (error) {
    // Entries were sound a moment ago: a server beside it drops them just now.
    if (error instanceof JournalRefused) return { found: 'passed over', reason: error.message };
    throw error;
  }
}

function linesOf(report: WholeReport): string[] {
  const { entries, lanes, sessions, commands, outcomes, openCommands, boots, problemCount, problems } = report;
  const { anchors, droppedEntries, remains, blankedEntries, checks } = report;
  const checked =
    `checked ${counted(entries, 'entry', 'entries')} in ${counted(lanes, 'lane')}, ${counted(commands, 'command')} ` +
    `(${outcomes} with an outcome, ${openCommands} open), ${counted(sessions, 'session')}, ${counted(boots, 'boot')}`;
  const { snapshots } = checks;
  const parts = [
    checked,
    ...(snapshots.checked > 0 ? [counted(snapshots.checked, 'snapshot')] : []),
    ...(anchors > 0 ? [`${counted(anchors, 'anchor')}`] : []),
    ...(remains > 0 ? [counted(remains, 'entry', 'entries') + ' that remain of dropped commands'] : []),
  ];
  const unchecked = [
    ...(droppedEntries > 0 ? [`${counted(droppedEntries, 'entry', 'entries')} that were dropped`] : []),
    ...(blankedEntries > 0 ? [`the content of ${counted(blankedEntries, 'entry', 'entries')}, which was removed`] : []),
    ...(snapshots.passedOver > 0 ? [`${counted(snapshots.passedOver, 'snapshot')} of other versions`] : []),
  ];
  const notChecked = unchecked.length === 0 ? '' : `; not checked: ${unchecked.join(', ')}`;
  const verdict = report.ok ? 'clean' : counted(problemCount, 'problem');
  const unlisted = problemCount - problems.length;
  return [
    ...problems.map(lineOf),
    ...(unlisted > 0 ? [`... and ${counted(unlisted, 'more problem')}`] : []),
    `${report.journal}: ${verdict}; ${parts.join(', ')}${notChecked}`,
  ];
}

function lineOf({ lane, laneSeq, offset, problem }: JournalProblem): string {
  const number = laneSeq === undefined ? '' : `laneSeq ${laneSeq} `;
  const where = lane === undefined ? '' : `${lane} ${number}`;
  const line = offset === 0 ? `the file: ${problem}` : `${where}offset ${offset}: ${problem}`;
  return printable(line);
}
