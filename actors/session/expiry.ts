/**
 * What is done about a session's lease when it is due: the end is announced, or the session is ended.
 *
 * A session with something that runs or waits is kept alive by it, and ends, if it still has to, when that has. The decision is
 * made on the folded state in the step that records it, so nothing comes between. State: none of its own.
 */
import type { Command } from '../command.ts';
import { failure } from '../message.ts';
import type { Failure } from '../message.ts';
import type { Runtime } from '../runtime.ts';
import type { SessionRecord } from '../session-record.ts';
import { sessionLane } from '../entry.ts';
import { forget } from './opening.ts';
import { dueAt, expiringEvent } from './lease.ts';
import type { Session } from './session.ts';

/** A mailbox, as far as the end of its session is concerned. */
interface Mailbox {
  readonly id: string;
  readonly session: Session | undefined;
  /** Nothing runs or waits in it. */
  readonly rests: boolean;
  overdue: boolean;
  closing(): void;
  closed(): void;
}

/** Does what is due at `now`, and arms what is due next. */
export function tendLease(runtime: Runtime, mailbox: Mailbox, now: number): void {
  const { session } = mailbox;
  const lease = session?.state?.lease;
  if (session === undefined || lease === undefined) return;
  if (now >= lease.deadlineAt && lease.inherited) {
    // Its makers were told of no end: it gets a whole life from now on, once, with all warnings.
    session.extend({ deadlineAt: now + lease.policy.baseMs, extensions: 0 }, now);
  } else if (now >= lease.deadlineAt) {
    if (mailbox.rests) expire(runtime, mailbox, session, now);
    else mailbox.overdue = true;
    return;
  } else if (now >= dueAt(lease)) {
    session.emit(undefined, expiringEvent(lease, now));
  }
  runtime.leases.arm(mailbox.id, dueAt(lease));
}

/** The session is there, folded or new: from now on its time is awaited. */
export function armLease({ leases }: Runtime, { id, session }: Mailbox): void {
  if (session?.state !== undefined) leases.arm(id, dueAt(session.state.lease));
}

/** What kept the session alive beyond its time may be over: somebody looks at it again. */
export function noticeRest(runtime: Runtime, mailbox: Mailbox): void {
  if (!mailbox.rests) return;
  mailbox.overdue = false;
  armLease(runtime, mailbox);
}

function expire(runtime: Runtime, mailbox: Mailbox, session: Session, now: number): void {
  const { id } = mailbox;
  const { deadlineAt } = session.state!.lease;
  session.record({ kind: 'session.expired', sessionId: id, deadlineAt, content: {} }, now);
  mailbox.closing();
  runtime.releases.hold(session.lastBatch, () => tellExpired(runtime, id, deadlineAt));
  mailbox.closed();
}

/** A session that is not in memory has nothing that keeps it alive: its end is recorded where its lane ends. */
export function expireAtRest(runtime: Runtime, record: SessionRecord, now: number): void {
  const { expired, releases, writer } = runtime;
  const { deadlineAt, engine, id, laneSeq } = record;
  const lane = sessionLane(id);
  writer.adopt(lane, laneSeq);
  writer.append(lane, { kind: 'session.expired', sessionId: id, deadlineAt, content: {} }, now);
  expired.add(id);
  releases.hold(writer.newestBatch, () => {
    tellExpired(runtime, id, deadlineAt);
    forget(runtime, engine, id);
  });
}

function tellExpired({ frames, subscriptions, telemetry }: Runtime, sessionId: string, deadlineAt: number): void {
  telemetry.observe({ level: 'info', message: 'session expired', sessionId, deadlineAt });
  subscriptions.announceSession(frames.notice('session_deleted', { sessionId, reason: 'expired' }));
  subscriptions.drop(sessionId);
}

/** Why a command comes too late for its session, if so; it is at the head of its lane. */
export function lifetimeRefusal(
  runtime: Runtime,
  command: Command,
  sessionId: string,
  session: Session | undefined,
): Failure | undefined {
  const lease = session?.state?.lease;
  if (session === undefined || lease === undefined) {
    return runtime.expired.has(sessionId) ? expired(sessionId) : undefined;
  }
  // What keeps the session alive may be looked at and ended; nothing new begins.
  const begins = command.contract.lane === 'work' && command.admittedAt >= lease.deadlineAt;
  return begins || isOverdue(runtime, session) ? expired(sessionId) : undefined;
}

/** Its time is over and that can't be recorded now, because the journal can't be written. */
export function isOverdue({ clock, leases }: Runtime, session: Session): boolean {
  const lease = session.state?.lease;
  if (leases.started || lease === undefined) return false;
  return !lease.inherited && clock.now() >= lease.deadlineAt && session.rests;
}

function expired(sessionId: string): Failure {
  return failure('SESSION_EXPIRED', `Session ${sessionId} has expired`);
}
