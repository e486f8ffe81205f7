/**
 * The end of a session by its purge, as a fact. What is removed behind it is the business of `../purge.ts`. State: none.
 */
import { sessionLane } from '../entry.ts';
import type { Runtime } from '../runtime.ts';
import type { Session } from './session.ts';

/** The end of a session, in its lane; who is attached or watches hears of it when it is durable. */
export function recordPurge(runtime: Runtime, sessionId: string, session: Session | undefined): void {
  const { frames, releases, subscriptions, writer } = runtime;
  const draft = { kind: 'session.purged', sessionId, content: {} } as const;
  // One that can't be folded has nothing that could evolve.
  if (session === undefined) writer.append(sessionLane(sessionId), draft);
  else session.record(draft);
  releases.hold(writer.newestBatch, () => {
    subscriptions.announceSession(frames.notice('session_deleted', { sessionId, reason: 'purged' }));
    subscriptions.drop(sessionId);
  });
}
