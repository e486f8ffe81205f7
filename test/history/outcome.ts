/**
 * What a journal comes to: its sessions as the entries alone tell them, and what a real server makes of it at its first boot.
 * Both on a copy. `recordedAt` is the time of the newest entry; the server's clock goes on from there.
 */
import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Entry } from '../../actors/entry.ts';
import { checkConfig } from '../../src/config.ts';
import { createClock } from '../../src/clock.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { createServer } from '../../src/server.ts';
import { foldSessions } from '../support/fold.ts';
import { Line } from './line.ts';
import type { CommandFrame, Frame } from './line.ts';

/** A command that was sent to the recorded server, and what its client was told; `null`: the process died before that. */
export interface Told {
  readonly command: CommandFrame;
  readonly response: Frame | null;
}

export interface Expected {
  readonly recordedAt: number;
  readonly recordedBy: { readonly version: string; readonly schemaVersion: number };
  readonly entries: number;
  readonly told: readonly Told[];
  readonly events: readonly Frame[];
  readonly sessions: Sessions;
  readonly boots: readonly Boot[];
}

/** By id: the session's data, and its chart with those of its children. */
export type Sessions = Record<string, { readonly state: object; readonly chart: Chart }>;

interface Chart {
  readonly value: unknown;
  readonly context: unknown;
  readonly children: Record<string, { readonly value: unknown; readonly context: unknown }>;
}

/** The first boot, so long after the newest entry. */
export interface Boot {
  readonly afterMs: number;
  readonly recovery: Classification;
  readonly sessions: readonly object[];
  /** By session: get_state and get_messages, when nothing is in flight any more. */
  readonly states: Record<string, { readonly state: object; readonly messages: readonly unknown[] }>;
  /** By command id: the answer when it comes again. Without those that are not remembered: reads. */
  readonly answers: Record<string, object>;
}

export const BOOTS_AFTER_MS = [1_000, 2 * 60 * 60 * 1_000];

export async function entriesIn(dataDir: string): Promise<Entry[]> {
  return withCopy(dataDir, async (copy) => {
    const journal = createSqliteJournal({ dataDir: copy });
    const { offset } = await journal.open();
    const entries: Entry[] = [];
    try {
      while (entries.length < offset) {
        for (const { entry } of await journal.scan({ after: entries.length, limit: 1_000 })) entries.push(entry);
      }
    } finally {
      await journal.close();
    }
    return entries;
  });
}

export function sessionsOf(entries: readonly Entry[]): Sessions {
  const sessions: Sessions = {};
  for (const [id, session] of foldSessions(entries)) {
    const { value, context, children } = session.snapshot as {
      value: unknown;
      context: unknown;
      children: Record<string, { snapshot: { value: unknown; context: unknown } }>;
    };
    const below = Object.entries(children).map(([child, { snapshot }]) => [
      child,
      { value: snapshot.value, context: snapshot.context },
    ]);
    const chart = { value, context, children: Object.fromEntries(below) as Chart['children'] };
    sessions[id] = structuredClone({ state: session.state!, chart });
  }
  return sessions;
}

export async function boot(dataDir: string, recordedAt: number, afterMs: number, told: readonly Told[]): Promise<Boot> {
  return withCopy(dataDir, async (copy) => {
    const clock = createClock();
    const shift = recordedAt + afterMs - Date.now();
    const checked = checkConfig({ port: 0, dataDir: copy, timeouts: { drainMs: 100 } });
    if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
    const server = createServer(checked.config, { clock: { ...clock, now: () => Date.now() + shift } });
    try {
      const { listening } = await server.start();
      const line = await Line.connect(listening!.url);
      const [recovery] = await line.ask({ type: 'get_startup_recovery', id: 'boot: recovery' });
      const commands = told.filter(isKept).map(({ command }) => command);
      const answers = await line.ask(...commands);
      const [list] = await line.ask({ type: 'list_sessions', id: 'boot: list' });
      const sessions = list!['data'].sessions as { readonly sessionId: string }[];
      const states: Boot['states'] = {};
      for (const { sessionId } of sessions) {
        const [state, messages] = await line.ask(
          { type: 'get_state', id: `boot: state of ${sessionId}`, sessionId },
          { type: 'get_messages', id: `boot: messages of ${sessionId}`, sessionId },
        );
        states[sessionId] = { state: state!['data'] as object, messages: messages!['data'].messages as unknown[] };
      }
      line.close();
      const found = {
        afterMs,
        recovery: classification(recovery!['data'] as Classification),
        sessions,
        states,
        answers: Object.fromEntries(answers.map((answer) => [answer['id'] as string, answer])),
      };
      return withoutLaterTimes(found, recordedAt) as Boot;
    } finally {
      await server.stop();
    }
  });
}

const READS: ReadonlySet<string> = new Set(['attach_session', 'get_state']);

/** Neither a read nor refused for want of a journal: it has an outcome that is told again. */
export function isKept({ command, response }: Told): boolean {
  return !READS.has(command.type) && response?.['errorCode'] !== 'JOURNAL_UNAVAILABLE';
}

/** What of `get_startup_recovery` is about the journal and not about this run. */
interface Classification {
  readonly boot: number;
  readonly recoveredOutcomes: number;
  readonly recoveredInFlightFailures: number;
  readonly recoveredInFlight: readonly object[];
  readonly recoveredSessions: number;
  readonly requeued: number;
}

function classification(recovery: Classification): Classification {
  const { boot, recoveredOutcomes, recoveredInFlightFailures, recoveredInFlight, recoveredSessions, requeued } =
    recovery;
  return { boot, recoveredOutcomes, recoveredInFlightFailures, recoveredInFlight, recoveredSessions, requeued };
}

/** What happens after the boot happens at another time whenever it is tried. */
function withoutLaterTimes(value: unknown, recordedAt: number): unknown {
  if (Array.isArray(value)) return value.map((item) => withoutLaterTimes(item, recordedAt));
  if (typeof value === 'object' && value !== null) {
    const kept = Object.entries(value).filter(([, item]) => !isLater(item, recordedAt));
    return Object.fromEntries(kept.map(([key, item]) => [key, withoutLaterTimes(item, recordedAt)]));
  }
  return value;
}

const DAYS_MS = 400 * 24 * 60 * 60 * 1_000;

function isLater(value: unknown, recordedAt: number): boolean {
  const at = typeof value === 'string' && /^\d{4}-\d\d-\d\dT/.test(value) ? Date.parse(value) : value;
  return typeof at === 'number' && at > recordedAt && at < recordedAt + DAYS_MS;
}

async function withCopy<Result>(dataDir: string, use: (copy: string) => Promise<Result>): Promise<Result> {
  const copy = mkdtempSync(join(tmpdir(), 'troupe-history-'));
  try {
    cpSync(dataDir, copy, { recursive: true });
    return await use(copy);
  } finally {
    rmSync(copy, { recursive: true, force: true });
  }
}
