/**
 * Folds the journal into outcomes, keys, sessions and what was in flight: from the newest checkpoint on, or from the first entry.
 *
 * Behind a checkpoint, sessions stay where they are, which is not in memory, unless something is under way in them or an entry
 * was read that their record does not know: those are folded from their own lanes. State: rebuildable.
 */
import { loadCheckpoint } from './checkpoint-loading.ts';
import type { Checkpointer } from './checkpointer.ts';
import type { Command } from './command.ts';
import { SERVER_LANE, sessionIn, sessionLane } from './entry.ts';
import type { CommandAccepted, CommandFinished, CommandSettled, Entry, StoredEntry } from './entry.ts';
import { namesOf } from './names.ts';
import type { Names } from './names.ts';
import type { Early } from './phase.ts';
import type { Router } from './router.ts';
import type { Runtime } from './runtime.ts';
import { closes, foldEntry, opens, wakeFolded } from './session/fold.ts';
import type { Mailbox } from './session/mailbox.ts';
import type { Session } from './session/session.ts';
import type { TurnRun } from './session/turn-run.ts';

const PAGE_ENTRIES = 4096;
/** Sessions that are read from their lanes side by side. */
const ARRIVING_AT_ONCE = 64;

/** A command that has no outcome in the journal. */
export interface InFlight {
  readonly accepted: CommandAccepted;
  /** Attempts that were started. */
  attempts: number;
}

/** What outlives the runtime that it was part of, when that is folded anew while the process goes on. */
export interface Survivors {
  /** Commands that somebody waits for and whose acceptance is durable, by its offset. */
  readonly commands: ReadonlyMap<number, Command>;
  /** Engines that have not let go of an ended turn, by session. */
  readonly runs: ReadonlyMap<string, TurnRun>;
  /** Commands that came when it was no longer there. */
  readonly early: readonly Early[];
}

/** What is folded, and into what. */
export interface Recoverable {
  readonly runtime: Runtime;
  readonly router: Router;
  readonly checkpointer: Checkpointer;
}

export const noSurvivors: Survivors = { commands: new Map(), runs: new Map(), early: [] };

export class JournalFold {
  readonly inFlight = new Map<number, InFlight>();
  /** Outcomes of survivors that turned out to be in the journal. */
  readonly told: [Command, CommandFinished][] = [];
  /** The one that comes. */
  boot = 1;
  /** Entries that were read. */
  entries = 0;
  /** Up to here the journal is folded. */
  offset = 0;
  /** Outcomes that the journal holds. */
  outcomes = 0;
  /** The journal could not be read when it was last asked. */
  unreadable = false;
  readonly #runtime: Runtime;
  readonly #router: Router;
  readonly #checkpointer: Checkpointer;
  readonly #survivors: Survivors;
  readonly #anew: boolean;
  readonly #lanes = new Map<string, number>();
  /** Sessions that are to come into memory, and their newest entry that was read. */
  readonly #touched = new Map<string, number>();

  constructor({ runtime, router, checkpointer }: Recoverable, survivors: Survivors, anew: boolean) {
    this.#runtime = runtime;
    this.#router = router;
    this.#checkpointer = checkpointer;
    this.#survivors = survivors;
    this.#anew = anew;
  }

  /** Folds what the journal holds beyond what was folded before. The journal may be one that only reads. */
  async run(onPage: (entries: number) => void): Promise<void> {
    const { writer } = this.#runtime;
    if (this.offset === 0 && !this.#anew) await this.#startFromCheckpoint();
    for (;;) {
      const page = await this.#read(() => this.#runtime.journal.scan({ after: this.offset, limit: PAGE_ENTRIES }));
      const last = page.at(-1);
      if (last === undefined) break;
      await this.#foldPage(page, last.entry.offset);
      this.offset = last.entry.offset;
      this.entries += page.length;
      onPage(page.length);
    }
    await this.#read(() => this.#arrive());
    for (const mailbox of this.#router.directory.mailboxes.values()) wakeFolded(mailbox);
    this.#noteLanes();
    const open = [...this.inFlight].map(([offset, { attempts }]) => [offset, attempts] as const);
    writer.resume(this.offset, this.#lanes, open, this.outcomes);
  }

  /** With what remains of commands that were dropped between its entries. */
  async #foldPage(page: readonly StoredEntry[], last: number): Promise<void> {
    let next = 0;
    for (let after = this.offset; after < last;) {
      const from = after;
      const remains = await this.#read(() => this.#runtime.journal.remains(from, PAGE_ENTRIES));
      for (const { entry } of remains) {
        if (entry.offset > last) break;
        for (; page[next]!.entry.offset < entry.offset; next += 1) this.#foldEntry(page[next]!.entry);
        this.#foldCommand(entry);
      }
      after = remains.at(-1)?.entry.offset ?? last;
    }
    for (; next < page.length; next += 1) this.#foldEntry(page[next]!.entry);
  }

  /** The newest checkpoint that can be used, or none: then everything is folded. */
  async #startFromCheckpoint(): Promise<void> {
    const found = await this.#read(() => loadCheckpoint(this.#runtime));
    if (found === undefined) return;
    const { offset, header, parts, accepted } = found;
    for (const part of parts) {
      if (part.kind === 'known') this.#runtime.deduplication.import(part);
      else if (part.kind === 'expired') for (const name of part.names) this.#runtime.expired.add(name);
      else {
        this.#router.directory.import(part);
        for (const id of part.busy) this.#touched.set(id, 0);
      }
      // A rebuild in place takes its turns among those who are connected.
      await new Promise<void>((goOn) => this.#runtime.clock.defer(goOn));
    }
    header.open.forEach(([acceptedOffset, attempts], index) => {
      this.inFlight.set(acceptedOffset, { accepted: accepted[index]!, attempts });
    });
    this.boot = header.boot + 1;
    this.outcomes = header.outcomes;
    this.#lanes.set(SERVER_LANE, header.serverLaneSeq);
    this.offset = offset;
    this.#checkpointer.resume(offset);
  }

  /** Brings sessions into memory that something is under way in, or whose records what was read has overtaken. */
  async #arrive(): Promise<void> {
    const { directory } = this.#router;
    const concerned = [...this.inFlight.values()].map(({ accepted }) => accepted.sessionId ?? '');
    for (const id of [...concerned, ...this.#survivors.runs.keys()]) {
      if (directory.isPassive(id) && !this.#touched.has(id)) this.#touched.set(id, 0);
    }
    const touched = [...this.#touched];
    for (let from = 0; from < touched.length; from += ARRIVING_AT_ONCE) {
      const group = touched.slice(from, from + ARRIVING_AT_ONCE);
      for (const [id] of group) if (directory.has(id)) directory.mailbox(id);
      await directory.settled();
      for (const [id, offset] of group) await this.#catchUp(id, offset);
    }
    this.#touched.clear();
  }

  /** It may have been folded, for somebody who reads, before its newest entry was there. */
  async #catchUp(id: string, offset: number): Promise<void> {
    const mailbox = this.#router.directory.find(id);
    const lane = sessionLane(id);
    if (mailbox === undefined) {
      if (!this.#router.directory.isPassive(id)) return;
      // Whoever asked was told why. That is what the boot is refused for: it asks itself.
      for (let after = 0, isOver = false; !isOver;) {
        const last = (await this.#runtime.journal.scan({ after, limit: PAGE_ENTRIES, lane })).at(-1);
        isOver = last === undefined;
        after = last?.entry.offset ?? after;
      }
      throw new Error(`Session ${id} can not be read`);
    }
    for (let session = mailbox.session; session !== undefined && session.offset < offset; session = mailbox.session) {
      const page = await this.#runtime.journal.scan({ after: session.offset, limit: PAGE_ENTRIES, lane });
      if (page.length === 0) throw new Error(`Session ${id} can not be read up to offset ${offset}`);
      for (const { entry } of page) this.#foldInto(mailbox, entry);
    }
    if (mailbox.session !== undefined) this.#enterLane(mailbox.session);
  }

  /** The server's, and of who is in memory: others are asked for when they come, also if something was read of them. */
  #noteLanes(): void {
    const read = new Map(this.#lanes);
    this.#lanes.clear();
    this.#lanes.set(SERVER_LANE, read.get(SERVER_LANE) ?? 0);
    for (const { id, session } of this.#router.directory.mailboxes.values()) {
      const lane = sessionLane(id);
      const known = Math.max(session?.laneSeq ?? 0, this.#runtime.writer.laneSeq(lane) ?? 0, read.get(lane) ?? 0);
      if (known > 0) this.#lanes.set(lane, known);
    }
  }

  async #read<Answer>(question: () => Promise<Answer>): Promise<Answer> {
    try {
      const answer = await question();
      this.unreadable = false;
      return answer;
    } catch (error) {
      this.unreadable = true;
      throw error;
    }
  }

  #foldEntry(entry: Entry): void {
    this.#lanes.set(entry.lane, entry.laneSeq);
    if (entry.kind === 'server.started') this.boot = entry.boot + 1;
    this.#foldCommand(entry);
    const sessionId = sessionIn(entry.lane);
    if (sessionId !== undefined) this.#foldSession(sessionId, entry);
  }

  #foldCommand(entry: Entry): void {
    switch (entry.kind) {
      case 'command.accepted':
        this.inFlight.set(entry.offset, { accepted: entry, attempts: 0 });
        break;
      case 'command.started': {
        const command = this.inFlight.get(entry.acceptedOffset);
        if (command !== undefined) command.attempts = entry.attempt;
        break;
      }
      case 'command.settled':
        this.#restore(entry, entry);
        break;
      case 'command.finished': {
        const command = this.inFlight.get(entry.acceptedOffset);
        this.inFlight.delete(entry.acceptedOffset);
        if (command !== undefined) this.#restore(command.accepted, entry);
        const survivor = this.#survivors.commands.get(entry.acceptedOffset);
        if (survivor !== undefined) this.told.push([survivor, entry]);
        break;
      }
      case 'lane.compacted':
        if (entry.expired === true) this.#runtime.expired.add(entry.sessionId);
        for (const offset of entry.ended) this.inFlight.delete(offset);
        // Nothing was under way in its lane; what was read of it may have been dropped meanwhile.
        for (const [offset, { accepted }] of this.inFlight)
          if (accepted.lane === entry.lane) this.inFlight.delete(offset);
        break;
      default:
        break;
    }
  }

  #restore(identity: CommandAccepted | CommandSettled, end: CommandSettled | CommandFinished): void {
    this.outcomes += 1;
    this.#runtime.deduplication.restore(namesIn(identity), {
      commandType: end.commandType,
      success: end.success,
      offset: end.offset,
      // As it was told: the session of a deletion has no version any more.
      sessionVersion: closes(end) ? undefined : end.sessionVersion,
      runsAgain: false,
    });
  }

  #foldSession(id: string, entry: Entry): void {
    const { directory } = this.#router;
    const found = directory.find(id);
    if (found?.session === undefined && found?.quarantine === undefined && directory.has(id)) {
      // It is folded from its own lane when everything is read.
      this.#touched.set(id, entry.offset);
      if (opens(entry)) directory.renew(id);
      return;
    }
    const mailbox = found ?? (opens(entry) ? directory.mailbox(id) : undefined);
    // What somebody asked for meanwhile may be further.
    if (mailbox !== undefined && entry.offset > (mailbox.session?.offset ?? 0)) this.#foldInto(mailbox, entry);
  }

  #foldInto(mailbox: Mailbox, entry: Entry): void {
    const folded = foldEntry(this.#runtime, mailbox, entry);
    if (folded === 'closed') {
      this.#router.directory.remove(mailbox.id);
      this.#lanes.delete(entry.lane);
    }
    if (folded === 'opened' && mailbox.session !== undefined) this.#enterLane(mailbox.session);
  }

  /** Work that was accepted before its session was there has waited at the server. */
  #enterLane(session: Session): void {
    for (const { accepted } of this.inFlight.values()) {
      const { offset, commandId, deadlineAt, lane, mailbox, sessionId } = accepted;
      if (sessionId !== session.id || mailbox !== 'work' || lane !== SERVER_LANE) continue;
      if (session.queues(offset) || session.state?.turn?.acceptedOffset === offset) continue;
      session.enterLane(offset, commandId, deadlineAt);
    }
  }
}

export function namesIn(identity: CommandAccepted | CommandSettled): Names {
  const { principal, commandId, explicitId, keyScope, idempotencyKey } = identity;
  return namesOf(principal, explicitId ? commandId : undefined, keyScope, idempotencyKey);
}
