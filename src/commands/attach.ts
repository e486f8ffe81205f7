/**
 * Watching a session from a connection: attach_session, switch_session, detach_session.
 *
 * The answer shows the session as it is when the subscription takes effect; both happen in one step of the release queue, so
 * that nothing is missed and nothing is seen twice. What the client missed before that comes from the journal.
 */
import { z } from 'zod';
import type { ConnectionEffect, SessionView, SettleDecision } from '../../actors/message.ts';
import { envelopes } from '../protocol/envelope.ts';
import { sessionCommand } from './command.ts';
import { afterField, choiceField } from './fields.ts';
import { sessionInfo } from './session-info.ts';
import type { JsonObject } from './session-info.ts';

export const attachSession = sessionCommand({
  type: 'attach_session',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: {
    ...envelopes.attachment,
    after: z.optional(afterField),
    role: choiceField(['observer', 'driver', 'approver']).optional(),
    deltas: choiceField(['full', 'compact', 'none']).optional(),
  },
  decide(frame, session, server) {
    const data: JsonObject = {
      sessionInfo: sessionInfo(session),
      epoch: session.epoch,
      watermark: session.seq,
      pendingUiRequests: [],
    };
    const turn = server.runningTurn(session.id);
    if (turn !== undefined) data['turn'] = { ...turn };
    const { after = 'live', deltas = 'compact', role } = frame;
    return attach(session, data, { after, deltas, ...(role !== undefined && { role }) });
  },
});

/** The base protocol's way to subscribe. */
export const switchSession = sessionCommand({
  type: 'switch_session',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.attachment,
  decide: (_frame, session) =>
    attach(session, { sessionInfo: sessionInfo(session) }, { after: 'live', deltas: 'full' }),
});

export const detachSession = sessionCommand({
  type: 'detach_session',
  scope: 'observe',
  lane: 'control',
  activity: 'none',
  journalled: false,
  fields: envelopes.attachment,
  decide: (_frame, session) => ({
    do: 'settle',
    outcome: { success: true, data: { detached: true } },
    effects: [{ type: 'detach', sessionId: session.id }],
    unchanged: true,
  }),
});

type Wish = Omit<Extract<ConnectionEffect, { type: 'attach' }>, 'type' | 'sessionId'>;

function attach(session: SessionView, data: JsonObject, wish: Wish): SettleDecision {
  return {
    do: 'settle',
    outcome: { success: true, data },
    effects: [{ type: 'attach', sessionId: session.id, ...wish }],
    unchanged: true,
  };
}
