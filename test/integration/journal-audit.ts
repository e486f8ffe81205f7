/**
 * What a dead server left on its disk: read from a copy, so that the next boot finds the files as the crash left them, folded
 * by rules of the test's own, and checked for everything that must hold for the journal of any server.
 */
import { expect } from 'vitest';
import type { CommandAccepted, CommandFinished, CommandSettled, Entry } from '../../actors/entry.ts';
import type { StoredEntry } from '../../actors/ports.ts';
import { chainHash, genesis } from '../../src/journal/chain.ts';
import { encode } from '../../src/journal/entry.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { temporaryFolder } from './server-process.ts';

type OutcomeEntry = CommandSettled | CommandFinished;

/** A session as its entries tell it. */
export interface FoldedSession {
  readonly sessionId: string;
  readonly epoch: string;
  name: string | null;
  version: number;
  seq: number;
  readonly messages: unknown[];
}

export interface Audit {
  readonly entryCount: number;
  readonly boots: number;
  /** Commands with their outcome, by id. */
  readonly outcomes: ReadonlyMap<string, OutcomeEntry>;
  /** Ids of commands that have no outcome: those that are not tried again, of which some were tried too often. */
  readonly started: readonly string[];
  readonly exhausted: readonly string[];
  readonly waitingControl: readonly string[];
  readonly waitingWork: readonly string[];
  /** Types of all durable events, by `epoch:seq`. */
  readonly events: ReadonlyMap<string, string>;
  /** Sessions that exist, in the order of their creation. */
  readonly sessions: readonly FoldedSession[];
  /** What does not hold: one sentence each. */
  readonly problems: readonly string[];
}

async function auditJournal(dataDir: string): Promise<Audit> {
  const journal = createSqliteJournal({ dataDir: temporaryFolder(dataDir) });
  const { offset } = await journal.open();
  const stored: StoredEntry[] = [];
  for (let after = 0; after < offset; after = stored.at(-1)!.entry.offset) {
    stored.push(...(await journal.scan({ after, limit: 4096 })));
  }
  await journal.close();
  return new Auditor().audit(stored);
}

/** The journal of a server that died, which holds nothing that must not be there. */
export async function soundJournal(dataDir: string): Promise<Audit> {
  const audit = await auditJournal(dataDir);
  expect(audit.problems).toEqual([]);
  return audit;
}

/** `supervision.attemptsMax`. */
const ATTEMPTS_MAX = 3;

/** It is idempotent, and was not tried too often. */
function runsAgain({ accepted, attempt }: { accepted: CommandAccepted; attempt: number }): boolean {
  return accepted.commandType === 'set_session_name' && attempt > 0 && attempt < ATTEMPTS_MAX;
}

class Auditor {
  readonly #problems: string[] = [];
  readonly #lanes = new Map<string, { laneSeq: number; hash: string }>();
  readonly #ids = new Set<string>();
  readonly #open = new Map<number, { accepted: CommandAccepted; attempt: number }>();
  readonly #outcomes = new Map<string, OutcomeEntry>();
  readonly #events = new Map<string, string>();
  readonly #sessions = new Map<string, FoldedSession>();
  #boots = 0;
  #recovered = 0;

  audit(stored: readonly StoredEntry[]): Audit {
    stored.forEach(({ entry, hash }, index) => {
      this.#must(entry.offset === index + 1, entry, `stands at place ${index + 1}`);
      this.#chain(entry, hash);
      this.#read(entry);
    });
    const open = [...this.#open.values()];
    const ids = (fits: (of: (typeof open)[number]) => boolean): string[] =>
      open.filter(fits).map(({ accepted }) => accepted.commandId);
    return {
      entryCount: stored.length,
      boots: this.#boots,
      outcomes: this.#outcomes,
      started: ids((command) => command.attempt > 0 && !runsAgain(command)),
      exhausted: ids(({ attempt }) => attempt >= ATTEMPTS_MAX),
      waitingControl: ids(({ attempt, accepted }) => attempt === 0 && accepted.mailbox === 'control'),
      waitingWork: ids(
        (command) => runsAgain(command) || (command.attempt === 0 && command.accepted.mailbox === 'work'),
      ),
      events: this.#events,
      sessions: [...this.#sessions.values()],
      problems: this.#problems,
    };
  }

  #must(holds: boolean, entry: Entry, otherwise: string): void {
    const { offset, lane, laneSeq, kind } = entry;
    if (!holds) this.#problems.push(`${kind} at offset ${offset}, laneSeq ${laneSeq} of ${lane}: ${otherwise}`);
  }

  #chain(entry: Entry, hash: string): void {
    const before = this.#lanes.get(entry.lane) ?? { laneSeq: 0, hash: genesis(entry.lane) };
    this.#must(entry.laneSeq === before.laneSeq + 1, entry, `follows laneSeq ${before.laneSeq}`);
    this.#must(hash === chainHash(before.hash, encode(entry)), entry, 'its hash does not continue the chain');
    this.#lanes.set(entry.lane, { laneSeq: entry.laneSeq, hash });
  }

  #read(entry: Entry): void {
    switch (entry.kind) {
      case 'command.accepted':
        this.#identify(entry);
        this.#open.set(entry.offset, { accepted: entry, attempt: 0 });
        break;
      case 'command.started': {
        const command = this.#open.get(entry.acceptedOffset);
        const attempt = command?.attempt ?? Infinity;
        this.#must(entry.attempt > attempt, entry, 'starts what is over, unknown or started already');
        if (command !== undefined) command.attempt = entry.attempt;
        break;
      }
      case 'command.settled':
        this.#identify(entry);
        this.#end(entry);
        break;
      case 'command.finished': {
        const command = this.#open.get(entry.acceptedOffset)?.accepted;
        this.#must(command?.commandId === entry.commandId, entry, 'ends what is over or unknown');
        this.#open.delete(entry.acceptedOffset);
        if (entry.recovered !== undefined) this.#recovered += 1;
        this.#end(entry);
        break;
      }
      case 'session.event':
        this.#event(entry, this.#sessionOf(entry), entry.seq, entry.content.event);
        break;
      case 'server.started':
        this.#must(entry.boot === this.#boots + 1, entry, `boot ${entry.boot} follows boot ${this.#boots}`);
        this.#boots = entry.boot;
        this.#recovered = 0;
        break;
      case 'server.recovered':
        this.#must(entry.classified === this.#recovered, entry, `says ${entry.classified}, ended ${this.#recovered}`);
        this.#must(entry.requeued === this.#open.size, entry, `took ${entry.requeued} of ${this.#open.size} back`);
        break;
      case 'session.expired':
        this.#must(entry.at >= entry.deadlineAt, entry, 'ends a session before its time');
        this.#must(this.#sessions.delete(entry.sessionId), entry, 'ends a session that is not there');
        break;
      case 'lease.extended':
      case 'turn.released':
      case 'server.stopped':
      case 'journal.restored':
      case 'read.audited':
      case 'session.purged':
      case 'session.restored':
      case 'lane.compacted':
      case 'housekeeping.finished':
        break;
      default:
        entry satisfies never;
    }
  }

  /** No id is accepted twice, whoever gave it: what was done once is not done again. */
  #identify(entry: CommandAccepted | CommandSettled): void {
    this.#must(!this.#ids.has(entry.commandId), entry, `accepts ${entry.commandId} again`);
    this.#ids.add(entry.commandId);
  }

  #end(entry: OutcomeEntry): void {
    this.#must(!this.#outcomes.has(entry.commandId), entry, `gives ${entry.commandId} a second outcome`);
    this.#outcomes.set(entry.commandId, entry);
    const { events = [], facts = [] } = entry.content;
    const opened = facts.find((fact) => fact.type === 'session.opened');
    if (opened !== undefined) {
      const { sessionId, epoch, name } = opened;
      this.#must(!this.#sessions.has(sessionId), entry, `opens ${sessionId}, which is there`);
      this.#sessions.set(sessionId, { sessionId, epoch, name, version: 0, seq: 0, messages: [] });
    }
    const session = this.#sessionOf(entry);
    events.forEach((event, index) => this.#event(entry, session, entry.seq! - events.length + 1 + index, event));
    if (opened === undefined && session !== undefined) this.#version(entry, session);
    if (facts.some(({ type }) => type === 'session.closed')) this.#sessions.delete(session!.sessionId);
  }

  #version(entry: OutcomeEntry, session: FoldedSession): void {
    const { success, sessionVersion, commandType, content } = entry;
    // An abort that found nothing to abort is the one success that changes nothing, and tells no facts.
    const changes = commandType !== 'abort' || (content.facts ?? []).length > 0;
    const fits = sessionVersion === (success ? session.version + (changes ? 1 : 0) : undefined);
    this.#must(fits, entry, `makes version ${String(sessionVersion)} of ${session.version}`);
    session.version = sessionVersion ?? session.version;
  }

  #event(
    entry: Entry,
    session: FoldedSession | undefined,
    seq: number,
    event: { readonly type: string; readonly [field: string]: unknown },
  ): void {
    this.#must(session !== undefined, entry, 'is an event of a session that is not there');
    if (session === undefined) return;
    this.#must(seq === session.seq + 1, entry, `event ${seq} follows event ${session.seq}`);
    session.seq = seq;
    this.#events.set(`${session.epoch}:${seq}`, event.type);
    if (event.type === 'message_end') session.messages.push(event['message']);
    if (event.type === 'session_changed') session.name = (event['fields'] as { name: string }).name;
  }

  #sessionOf({ lane }: Entry): FoldedSession | undefined {
    return lane.startsWith('session:') ? this.#sessions.get(lane.slice('session:'.length)) : undefined;
  }
}
