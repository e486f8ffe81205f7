/**
 * Watching a session from a connection: attach_session, switch_session, detach_session.
 *
 * The answer shows the session as it is when the subscription takes effect; both happen in one step of the release queue, so
 * that nothing is missed and nothing is seen twice.
 */
import { z } from 'zod';
import type { DeltaMode, SessionView, SettleDecision } from '../../actors/message.ts';
import { envelopes } from '../protocol/envelope.ts';
import { field } from '../protocol/field.ts';
import { refuse, sessionCommand } from './command.ts';
import { choiceField } from './fields.ts';
import { sessionInfo } from './session-info.ts';
import type { JsonObject } from './session-info.ts';

const AFTER_TEXT = "Must be 'live', 'start' or {epoch, seq}";

const cursor = z.object({ epoch: z.string().min(1).max(256), seq: z.int().min(0) });

const after = field<unknown>({ anyOf: [{ enum: ['live', 'start'] }, { type: 'object' }] }, (value) =>
  value === 'live' || value === 'start' || cursor.safeParse(value).success ? undefined : AFTER_TEXT,
);

export const attachSession = sessionCommand({
  type: 'attach_session',
  scope: 'observe',
  lane: 'read',
  fields: {
    ...envelopes.attachment,
    after: z.optional(after),
    role: choiceField(['observer', 'driver', 'approver']).optional(),
    deltas: choiceField(['full', 'compact', 'none']).optional(),
  },
  decide(frame, session, server) {
    if ((frame.after ?? 'live') !== 'live')
      return refuse('UNSUPPORTED', "This server can attach after 'live' only; events are not replayed");
    const data: JsonObject = {
      sessionInfo: sessionInfo(session),
      epoch: session.epoch,
      watermark: session.seq,
      pendingUiRequests: [],
    };
    const turn = server.runningTurn(session.id);
    if (turn !== undefined) data['turn'] = { ...turn };
    return attach(session, data, frame.deltas ?? 'compact');
  },
});

/** The base protocol's way to subscribe. */
export const switchSession = sessionCommand({
  type: 'switch_session',
  scope: 'observe',
  lane: 'read',
  fields: envelopes.attachment,
  decide: (_frame, session) => attach(session, { sessionInfo: sessionInfo(session) }, 'full'),
});

export const detachSession = sessionCommand({
  type: 'detach_session',
  scope: 'observe',
  lane: 'control',
  journalled: false,
  fields: envelopes.attachment,
  decide: (_frame, session) => ({
    do: 'settle',
    outcome: { success: true, data: { detached: true } },
    effects: [{ type: 'detach', sessionId: session.id }],
    unchanged: true,
  }),
});

function attach(session: SessionView, data: JsonObject, deltas: DeltaMode): SettleDecision {
  return {
    do: 'settle',
    outcome: { success: true, data },
    effects: [{ type: 'attach', sessionId: session.id, deltas }],
    unchanged: true,
  };
}
