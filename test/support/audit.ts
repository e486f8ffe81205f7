/**
 * What must hold for the entries of any server, whatever it went through: places without gaps, one outcome per command,
 * versions and event numbers without gaps. By rules of its own, not by the code under test. Pure.
 */
import type { CommandAccepted, CommandFinished, CommandSettled, Entry } from '../../actors/entry.ts';

export type OutcomeEntry = CommandSettled | CommandFinished;

export interface Audit {
  /** One sentence for each thing that does not hold. */
  readonly problems: readonly string[];
  /** Outcomes by the offset of the entry that accepted the command. */
  readonly outcomes: ReadonlyMap<number, OutcomeEntry>;
  /** Accepted and without an outcome. */
  readonly open: readonly CommandAccepted[];
  /** Commands in the order in which they had their effect in their lane: `commandId`s by journal lane. */
  readonly order: ReadonlyMap<string, readonly string[]>;
}

interface Folded {
  version: number;
  seq: number;
}

export function audit(entries: readonly Entry[]): Audit {
  const problems: string[] = [];
  const lanes = new Map<string, number>();
  const accepted = new Map<number, CommandAccepted>();
  const started = new Map<number, number>();
  const outcomes = new Map<number, OutcomeEntry>();
  const sessions = new Map<string, Folded>();
  const order = new Map<string, string[]>();
  const ids = new Map<string, number>();

  const must = (holds: boolean, entry: Entry, otherwise: string): void => {
    if (!holds) problems.push(`${entry.kind} at offset ${entry.offset} of ${entry.lane}: ${otherwise}`);
  };
  const identify = (entry: CommandAccepted | CommandSettled): void => {
    const id = `${entry.principal}/${entry.commandId}`;
    must(!ids.has(id), entry, `accepts ${id} again, after offset ${ids.get(id) ?? 0}`);
    ids.set(id, entry.offset);
  };
  const number = (entry: Entry, seq: number | undefined, count: number): void => {
    const session = sessions.get(entry.lane);
    must(session !== undefined, entry, 'has events of a session that is not there');
    if (session === undefined) return;
    must(seq === session.seq + count, entry, `ends with event ${String(seq)}, ${count} after ${session.seq}`);
    session.seq = seq ?? session.seq;
  };
  const end = (entry: OutcomeEntry): void => {
    const at = entry.kind === 'command.settled' ? entry.offset : entry.acceptedOffset;
    must(!outcomes.has(at), entry, `gives ${entry.commandId} a second outcome`);
    outcomes.set(at, entry);
    const { events = [], facts = [] } = entry.content;
    if (facts.some(({ type }) => type === 'session.opened')) {
      must(!sessions.has(entry.lane), entry, 'opens a session that is there');
      sessions.set(entry.lane, { version: 0, seq: 0 });
      must(entry.sessionVersion === 0, entry, `opens at version ${String(entry.sessionVersion)}`);
    } else if (entry.success && entry.sessionVersion !== undefined) {
      const session = sessions.get(entry.lane);
      const before = session?.version ?? 0;
      const unchanged = entry.commandType === 'abort' && entry.sessionVersion === before;
      must(
        unchanged || entry.sessionVersion === before + 1,
        entry,
        `makes version ${entry.sessionVersion} of ${before}`,
      );
      if (session !== undefined) session.version = entry.sessionVersion;
    }
    must(entry.success || entry.sessionVersion === undefined, entry, 'failed, and has a version');
    if (events.length > 0) number(entry, entry.seq, events.length);
    if (facts.some(({ type }) => type === 'session.closed')) sessions.delete(entry.lane);
    order.set(entry.lane, [...(order.get(entry.lane) ?? []), entry.commandId]);
  };

  entries.forEach((entry, index) => {
    must(entry.offset === index + 1, entry, `stands at place ${index + 1}`);
    must(entry.laneSeq === (lanes.get(entry.lane) ?? 0) + 1, entry, `laneSeq ${entry.laneSeq} leaves a gap`);
    lanes.set(entry.lane, entry.laneSeq);
    switch (entry.kind) {
      case 'command.accepted':
        identify(entry);
        accepted.set(entry.offset, entry);
        break;
      case 'command.started':
        must(accepted.has(entry.acceptedOffset), entry, 'starts what was never accepted');
        must(!outcomes.has(entry.acceptedOffset), entry, 'starts what has its outcome');
        must(entry.attempt === (started.get(entry.acceptedOffset) ?? 0) + 1, entry, `is attempt ${entry.attempt}`);
        started.set(entry.acceptedOffset, entry.attempt);
        break;
      case 'command.settled':
        identify(entry);
        end(entry);
        break;
      case 'command.finished':
        must(accepted.get(entry.acceptedOffset)?.commandId === entry.commandId, entry, 'ends what was never accepted');
        end(entry);
        break;
      case 'session.event':
        number(entry, entry.seq, 1);
        break;
      case 'session.expired':
        must(sessions.delete(entry.lane), entry, 'ends a session that is not there');
        must(entry.at >= entry.deadlineAt, entry, `ends at ${entry.at}, before ${entry.deadlineAt}`);
        for (const { offset, lane } of accepted.values()) {
          must(lane !== entry.lane || outcomes.has(offset), entry, `ends what offset ${offset} keeps alive`);
        }
        break;
      default:
        break;
    }
  });
  const open = [...accepted.values()].filter(({ offset }) => !outcomes.has(offset));
  return { problems, outcomes, open, order };
}
