/**
 * What the entries of a journal have to say to be those of a server that kept its promises: commands accepted before they
 * start and end once, dependants after what they depend on, versions and event numbers without gaps, boots in order.
 *
 * It follows the runtime's rules from the outside: nothing of the runtime's own folding is used. State: volatile.
 */
import type {
  CommandAccepted,
  CommandFinished,
  CommandSettled,
  CommandStarted,
  Entry,
  JournalProblem,
  LeaseExtended,
  SessionExpired,
  LaneCompacted,
} from '../../actors/entry.ts';
import type { SessionOpened } from '../../actors/session/event.ts';
import { KnownIds } from './verify-ids.ts';

type Place = Omit<JournalProblem, 'problem'>;
type Ending = CommandSettled | CommandFinished;

interface OpenCommand {
  readonly accepted: CommandAccepted;
  attempts: number;
}

interface SessionCount {
  version: number;
  seq: number;
  /** Undefined in a journal that is older than lifetimes. */
  readonly extensionsMax: number | undefined;
  deadlineAt: number;
  extensions: number;
}

const LANE_OF_SESSION = 'session:';

export class EntryAudit {
  readonly #report: (place: Place, problem: string) => void;
  readonly #ids: KnownIds;
  /** Accepted and without an outcome, by offset. */
  readonly #open = new Map<number, OpenCommand>();
  /** Sessions that exist, by journal lane. */
  readonly #sessions = new Map<string, SessionCount>();
  #boot = 0;
  /** Outcomes that this boot gave by classification. */
  #recovered = 0;
  /** Entries that were dropped, and whether any was since the newest boot. */
  readonly #gaps: [first: number, last: number][] = [];
  #bootHasGap = false;
  #commands = 0;
  #outcomes = 0;
  #events = 0;

  constructor(idsMax: number, report: (place: Place, problem: string) => void) {
    this.#report = report;
    this.#ids = new KnownIds(idsMax, report);
  }

  /** Journal lanes of the sessions that exist. */
  get sessionLanes(): Iterable<string> {
    return this.#sessions.keys();
  }

  get counts() {
    return {
      sessions: this.#sessions.size,
      commands: this.#commands,
      outcomes: this.#outcomes,
      openCommands: this.#open.size,
      events: this.#events,
      boots: this.#boot,
    };
  }

  /** Entries from `first` to `last` were dropped: what they said is not known. */
  passGap(first: number, last: number): void {
    this.#bootHasGap = true;
    const before = this.#gaps.at(-1);
    if (before?.[1] === first - 1) before[1] = last;
    else this.#gaps.push([first, last]);
  }

  /** What is said of it can't be checked. */
  #wasDropped(offset: number): boolean {
    let low = 0;
    for (let high = this.#gaps.length; low < high;) {
      const middle = (low + high) >>> 1;
      if (this.#gaps[middle]![1] < offset) low = middle + 1;
      else high = middle;
    }
    return (this.#gaps[low]?.[0] ?? Infinity) <= offset;
  }

  /** @param begins what was in front of it in its lane was dropped. */
  take(entry: Entry, begins = false): void {
    if ('sessionId' in entry && entry.lane.startsWith(LANE_OF_SESSION)) {
      const here = entry.lane === LANE_OF_SESSION + String(entry.sessionId);
      this.#must(here, entry, `is about session ${String(entry.sessionId)}`);
    }
    switch (entry.kind) {
      case 'command.accepted':
        this.#commands += 1;
        this.#ids.accept(entry);
        this.#open.set(entry.offset, { accepted: entry, attempts: 0 });
        break;
      case 'command.started':
        this.#start(entry);
        break;
      case 'command.settled':
        this.#commands += 1;
        if (entry.success) this.#ids.mustHaveSucceeded(entry, entry);
        this.#ids.accept(entry);
        this.#end(entry, entry);
        break;
      case 'command.finished':
        this.#finish(entry);
        break;
      case 'session.event':
        this.#number(entry, entry.seq, 1);
        break;
      case 'lease.extended':
        this.#extend(entry);
        break;
      case 'session.expired':
        this.#expire(entry);
        break;
      case 'turn.released':
      case 'server.stopped':
      case 'journal.restored':
      case 'read.audited':
      case 'housekeeping.finished':
        break;
      case 'session.purged':
        // In the server's lane the session was over already.
        if (!entry.lane.startsWith(LANE_OF_SESSION)) break;
        this.#must(this.#sessions.delete(entry.lane), entry, 'ends a session that is not there');
        break;
      case 'lane.compacted':
        this.#resume(entry, begins);
        break;
      case 'session.restored':
        this.#must(this.#sessions.has(entry.lane), entry, 'begins an epoch of a session that is not there');
        break;
      case 'server.started':
        this.#must(entry.boot === this.#boot + 1, entry, `boot ${entry.boot} follows boot ${this.#boot}`);
        this.#boot = entry.boot;
        this.#recovered = 0;
        this.#bootHasGap = false;
        this.#ids.boot();
        break;
      case 'server.recovered': {
        const { classified, requeued } = entry;
        const counted = this.#bootHasGap ? classified >= this.#recovered : classified === this.#recovered;
        this.#must(counted, entry, `counts ${classified} classified, not ${this.#recovered}`);
        // Of what was dropped nobody knows whether it was open.
        const known = this.#gaps.length > 0 || requeued === this.#open.size;
        this.#must(known, entry, `counts ${requeued} taken back, not ${this.#open.size}`);
        break;
      }
      default:
        entry satisfies never;
        this.#must(false, entry, 'is of a kind that is not known');
    }
  }

  /** What it says of its lane is what was read of it, or, where that was dropped, what goes on from here. */
  #resume(entry: LaneCompacted, begins: boolean): void {
    const { lane, seq, sessionVersion: version, ended } = entry;
    for (const offset of ended) this.#open.delete(offset);
    const known = this.#sessions.get(lane);
    if (begins) {
      if (version === undefined || seq === undefined) return;
      const { policy, deadlineAt = 0, extensions = 0, inherited } = entry.content.state?.lease ?? {};
      const extensionsMax = inherited === false ? policy?.extensionsMax : undefined;
      this.#sessions.set(lane, { version, seq, extensionsMax, deadlineAt, extensions });
      return;
    }
    const same = known?.version === version && known?.seq === seq;
    this.#must(same, entry, 'does not say what the entries in front of it come to');
  }

  #must(holds: boolean, { lane, laneSeq, offset }: Entry, otherwise: string): void {
    if (!holds) this.#report({ lane, laneSeq, offset }, otherwise);
  }

  #start(entry: CommandStarted): void {
    const open = this.#open.get(entry.acceptedOffset);
    if (open === undefined && this.#wasDropped(entry.acceptedOffset)) return;
    if (open?.accepted.commandId !== entry.commandId) {
      this.#must(false, entry, `starts ${entry.commandId}, which offset ${entry.acceptedOffset} does not hold open`);
      return;
    }
    this.#must(entry.attempt === open.attempts + 1, entry, `attempt ${entry.attempt} follows ${open.attempts}`);
    open.attempts = entry.attempt;
    // A try that is announced comes to the head of its lane next, and may find there that it can't be made.
    if (entry.lane.startsWith(LANE_OF_SESSION)) this.#ids.mustHaveSucceeded(open.accepted, entry);
  }

  #finish(entry: CommandFinished): void {
    const open = this.#open.get(entry.acceptedOffset);
    if (open === undefined && this.#wasDropped(entry.acceptedOffset)) {
      this.#outcomes += 1;
      return;
    }
    if (open?.accepted.commandId !== entry.commandId) {
      const text = `gives ${entry.commandId} an outcome, and offset ${entry.acceptedOffset} does not hold it open`;
      this.#must(false, entry, `${text}: it has one already, or was never accepted`);
      return;
    }
    const { accepted, attempts } = open;
    this.#open.delete(entry.acceptedOffset);
    this.#must(
      accepted.commandType === entry.commandType,
      entry,
      `ends a ${entry.commandType}, not a ${accepted.commandType}`,
    );
    if (entry.recovered !== undefined) this.#recovered += 1;
    if (entry.success && attempts === 0) this.#ids.mustHaveSucceeded(accepted, entry);
    this.#end(entry, accepted);
  }

  #end(entry: Ending, accepted: CommandAccepted | CommandSettled): void {
    this.#outcomes += 1;
    this.#ids.settle(accepted, entry);
    const failed = entry.errorCode !== undefined;
    this.#must(entry.success !== failed, entry, failed ? 'succeeds with an error code' : 'fails without an error code');
    const { events = [], facts = [] } = entry.content;
    const opened = facts.find((fact) => fact.type === 'session.opened');
    if (opened !== undefined) this.#openSession(entry, opened.lease);
    else this.#version(entry, accepted.mailbox === 'control' && events.length === 0);
    if (events.length > 0) this.#number(entry, entry.seq, events.length);
    if (facts.some(({ type }) => type === 'session.closed')) this.#sessions.delete(entry.lane);
  }

  #openSession(entry: Ending, lease: SessionOpened['lease']): void {
    this.#must(!this.#sessions.has(entry.lane), entry, 'opens a session that is there');
    this.#must(entry.sessionVersion === 0, entry, `opens a session at version ${String(entry.sessionVersion)}`);
    const deadlineAt = entry.at + (lease?.baseMs ?? 0);
    const extensionsMax = lease?.extensionsMax;
    this.#sessions.set(entry.lane, { version: 0, seq: 0, extensionsMax, deadlineAt, extensions: 0 });
  }

  /** An inherited lease is given a first time of its own, which is no extension. */
  #extend(entry: LeaseExtended): void {
    const session = this.#sessions.get(entry.lane);
    if (session === undefined) {
      this.#must(false, entry, 'extends a session that is not there');
      return;
    }
    const { deadlineAt, extensions, extensionsMax = Infinity } = session;
    const first = session.extensionsMax === undefined && entry.extensions === 0;
    this.#must(
      first || entry.extensions === extensions + 1,
      entry,
      `is extension ${entry.extensions} after ${extensions}`,
    );
    this.#must(entry.extensions <= extensionsMax, entry, `is extension ${entry.extensions} of ${extensionsMax}`);
    this.#must(entry.deadlineAt > deadlineAt, entry, `puts the end at ${entry.deadlineAt}, before ${deadlineAt}`);
    session.deadlineAt = entry.deadlineAt;
    session.extensions = entry.extensions;
  }

  #expire(entry: SessionExpired): void {
    const session = this.#sessions.get(entry.lane);
    this.#must(session !== undefined, entry, 'ends a session that is not there');
    const due = session?.extensionsMax === undefined || entry.deadlineAt === session.deadlineAt;
    this.#must(due, entry, `ends at ${entry.deadlineAt}, not at ${String(session?.deadlineAt)}`);
    this.#must(entry.at >= entry.deadlineAt, entry, 'ends before its time');
    for (const { accepted } of this.#open.values()) {
      this.#must(accepted.lane !== entry.lane, entry, `ends a session that offset ${accepted.offset} keeps alive`);
    }
    this.#sessions.delete(entry.lane);
  }

  /** `mayKeep`: control that found nothing to do succeeds and changes nothing. */
  #version(entry: Ending, mayKeep: boolean): void {
    const { sessionVersion: version, success } = entry;
    const session = this.#sessions.get(entry.lane);
    if (session === undefined || !success) {
      this.#must(version === undefined, entry, `makes version ${String(version)} of nothing`);
      const ofSession = entry.lane.startsWith(LANE_OF_SESSION);
      this.#must(!(ofSession && success), entry, 'succeeds on a session that is not there');
      return;
    }
    // A session that could not be folded any more is ended without a version, because nobody knows it.
    const closes = entry.content.facts?.some(({ type }) => type === 'session.closed') === true;
    if (closes && version === undefined) return;
    const fits = version === session.version + 1 || (mayKeep && version === session.version);
    this.#must(fits, entry, `makes version ${String(version)} of version ${session.version}`);
    session.version = version ?? session.version;
  }

  #number(entry: Entry, seq: number | undefined, count: number): void {
    this.#events += count;
    const session = this.#sessions.get(entry.lane);
    if (session === undefined) {
      this.#must(false, entry, 'has events of a session that is not there');
      return;
    }
    const first = (seq ?? Number.NaN) - count + 1;
    this.#must(first === session.seq + 1, entry, `event ${first} follows event ${session.seq}`);
    session.seq = seq ?? session.seq;
  }
}
