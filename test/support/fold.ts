/** Sessions as their entries alone tell them: what a boot folds before it classifies anything. */
import type { CommandAccepted, Entry } from '../../actors/entry.ts';
import { sessionLane } from '../../actors/entry.ts';
import { ExpiredSessions } from '../../actors/expired-sessions.ts';
import { Host } from '../../actors/host.ts';
import type { Runtime } from '../../actors/runtime.ts';
import { Session } from '../../actors/session/session.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { limits } from './world.ts';

export function foldSessions(entries: readonly Entry[]): Map<string, Session> {
  const expired = new ExpiredSessions();
  const runtime = { host: new Host(createSimulatedClock()), limits, expired } as Runtime;
  const sessions = new Map<string, Session>();
  const inFlight = new Map<number, CommandAccepted>();
  for (const entry of entries) {
    if (entry.kind === 'command.accepted') inFlight.set(entry.offset, entry);
    if (entry.kind === 'command.finished') inFlight.delete(entry.acceptedOffset);
    if (!entry.lane.startsWith(sessionLane(''))) continue;
    const id = entry.lane.slice(sessionLane('').length);
    const settled = entry.kind === 'command.settled' || entry.kind === 'command.finished';
    const opened = settled ? entry.content.facts?.find(({ type }) => type === 'session.opened') : undefined;
    if (opened?.type === 'session.opened') {
      const session = new Session(runtime, id, opened.engine, () => undefined);
      sessions.set(id, session);
      session.fold(entry);
      for (const { offset, commandId, deadlineAt, sessionId, mailbox } of inFlight.values()) {
        if (sessionId === id && mailbox === 'work') session.enterLane(offset, commandId, deadlineAt);
      }
      continue;
    }
    sessions.get(id)?.fold(entry);
    if (sessions.get(id)?.state?.closed != null) sessions.delete(id);
  }
  return sessions;
}
