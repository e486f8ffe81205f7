/**
 * A session as clients are shown it, with the base protocol's field names. What is not known is left out. Pure.
 */
import type { Json, SessionSummary, SessionView } from '../../actors/message.ts';

export type JsonObject = { [key: string]: Json };

/** What lists, notices and answers show of a session. */
export function sessionInfo(session: SessionSummary | SessionView): JsonObject {
  const info: JsonObject = { sessionId: session.id };
  if (session.name !== null) info['sessionName'] = session.name;
  if (session.model !== null) info['model'] = session.model;
  info['thinkingLevel'] = session.thinkingLevel;
  info['isStreaming'] = 'turn' in session ? session.turn !== null : session.isStreaming;
  info['messageCount'] = 'messages' in session ? session.messages.length : session.messageCount;
  info['createdAt'] = timeText(session.createdAt);
  return info;
}

/** What `get_state` shows beside. */
export function sessionState(session: SessionView, capabilities: readonly string[]): JsonObject {
  const state: JsonObject = {
    ...sessionInfo(session),
    engine: session.engine,
    capabilities: [...capabilities],
    sessionVersion: session.version,
    lastActivityAt: timeText(session.lastActivityAt),
    lease: leaseInfo(session.lease),
    queued: { steers: session.steers.length, followUps: session.followUps.length },
  };
  if (session.cwd !== null) state['cwd'] = session.cwd;
  if (session.labels !== null) state['labels'] = session.labels;
  return state;
}

/** With the threshold, so that a countdown needs no configuration of its own. */
function leaseInfo({ deadlineAt, extensions, policy }: SessionView['lease']): JsonObject {
  const { extensionsMax, thresholdMs } = policy;
  return { deadline: timeText(deadlineAt), extensions, extensionsMax, thresholdMs };
}

export function timeText(at: number): string {
  return new Date(at).toISOString();
}
