/** What handlers of commands may see of the server, looked up when they ask. State: none of its own. */
import type { Core } from './core.ts';
import type { LiveCounts, QuarantinedSession, RecoverySummary, ServerView } from './message.ts';
import type { Clock, Engine, Redaction } from './ports.ts';
import type { Counters } from './counters.ts';
import { purgeSession } from './purge.ts';
import type { Upkeep } from './upkeep.ts';
import { NotFolded } from './session/head.ts';
import { pictureAt, pictureOf } from './session/lane-fold.ts';

export interface ServerViewSources {
  readonly clock: Clock;
  readonly serverVersion: string;
  readonly redaction: Redaction | undefined;
  readonly engines: ReadonlyMap<string, Engine>;
  readonly counters: Counters;
  readonly core: () => Core;
  readonly live: () => LiveCounts;
  readonly recovery: () => RecoverySummary | undefined;
  readonly issues: () => readonly string[];
  readonly mailboxDepthMax: number;
  readonly upkeep: () => Upkeep;
}

export function createServerView(sources: ServerViewSources): ServerView {
  const { clock, serverVersion, engines, counters, core, live, recovery, issues, mailboxDepthMax, redaction, upkeep } =
    sources;
  const router = () => {
    const found = core().router;
    if (found.phase === 'blind') throw new NotFolded('The journal can not be read; nothing is known of sessions now');
    return found;
  };
  return {
    serverVersion,
    activity: counters,
    get now() {
      return clock.now();
    },
    get sessionCount() {
      return router().directory.sessionCount;
    },
    session: (id) => router().directory.find(id)?.session?.state,
    picture(id) {
      const session = router().directory.find(id)?.session;
      const state = session?.state;
      // As it would be found in the journal: a picture is for those who look on, and for files.
      return state === undefined ? undefined : pictureOf(redaction?.state(state) ?? state, session?.snapshot);
    },
    pictureAt: (journal, id, at) => pictureAt(journal, id, { ...at, mailboxDepthMax }),
    sessions: (from) => router().directory.summaries(from),
    quarantined: () => quarantined(router().directory.mailboxes.values()),
    runningTurn: (id) => router().directory.find(id)?.runningTurn,
    get recovery() {
      const found = recovery();
      if (found === undefined) throw new Error('Recovery is not over: there is nothing to tell of it yet.');
      return found;
    },
    get live() {
      return live();
    },
    get journal() {
      const { releases, writer } = core().runtime;
      const { offset, entryCount: entries, newestBatch: batches } = writer;
      const writable = core().router.phase === 'open' || core().router.phase === 'draining';
      return { offset, entries, batches, durable: releases.durable, writable };
    },
    get housekeeping() {
      return upkeep().runs;
    },
    backUp: () => upkeep().backUp(),
    compact: () => upkeep().compact(),
    applyRetention: () => upkeep().applyRetention(),
    get issues() {
      return issues();
    },
    purge: (sessionId) => purgeSession(core(), sessionId),
    engineCapabilities: (kind) => engines.get(kind)?.capabilities ?? [],
  };
}

type Mailboxes = ReturnType<Core['router']['directory']['mailboxes']['values']>;

function* quarantined(mailboxes: Mailboxes): Iterable<QuarantinedSession> {
  for (const { id, quarantine } of mailboxes) if (quarantine !== undefined) yield { id, ...quarantine };
}
