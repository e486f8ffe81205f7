/**
 * Removing what people and engines said in a session: purge_session.
 *
 * It may be asked for as often as one likes, and of sessions that are over. Ids, outcomes and order stay, so that repeated
 * commands are still known and the journal still verifies. Once begun it goes on behind a crash.
 */
import { envelopes, targetId } from '../protocol/envelope.ts';
import { serverCommand } from './command.ts';

export const purgeSession = serverCommand({
  type: 'purge_session',
  scope: 'operate',
  lane: 'control',
  // Nobody could tell what of it was done when its time was over.
  timeout: 'none',
  idempotent: true,
  activity: 'none',
  fields: { ...envelopes.server, sessionId: targetId },
  decide: ({ sessionId }, server) => ({ do: 'consult', consult: () => server.purge(sessionId) }),
});
