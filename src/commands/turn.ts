/**
 * Talking to a session's engine: prompt, steer, follow_up, abort.
 *
 * A prompt holds the session's work lane until its outcome; the others are control and never wait for it.
 */
import { z } from 'zod';
import type { Json, SettleDecision } from '../../actors/message.ts';
import type { QueueMode } from '../../actors/session/event.ts';
import { classed } from '../protocol/data-class.ts';
import { envelopes } from '../protocol/envelope.ts';
import { sessionCommand } from './command.ts';
import { messageFields } from './fields.ts';

interface Message {
  readonly message: string;
  readonly images?: unknown;
}

export const prompt = sessionCommand({
  type: 'prompt',
  scope: 'drive',
  lane: 'work',
  activity: 'user',
  timeout: 'long',
  turn: true,
  fields: {
    ...envelopes.session,
    respond: classed('operational', z.literal('accepted', { error: "Must be 'accepted' if provided" }).optional()),
    ...messageFields,
  },
  decide: (frame) => ({ do: 'turn', input: messageOf(frame) }),
});

export const steer = sessionCommand({
  type: 'steer',
  scope: 'drive',
  lane: 'control',
  activity: 'user',
  fields: { ...envelopes.session, ...messageFields },
  decide: (frame) => queue('steer', frame),
});

export const followUp = sessionCommand({
  type: 'follow_up',
  scope: 'drive',
  lane: 'control',
  activity: 'user',
  fields: { ...envelopes.session, ...messageFields },
  decide: (frame) => queue('followUp', frame),
});

/** Whether there is something to end is known to the runtime alone: a prompt may wait that no view shows yet. */
export const abort = sessionCommand({
  type: 'abort',
  scope: 'drive',
  lane: 'control',
  activity: 'user',
  interrupts: true,
  fields: envelopes.session,
  decide: () => ({ do: 'interrupt' }),
});

/** The runtime hands the message to the running turn, or keeps it for the next one. */
function queue(mode: QueueMode, frame: Message): SettleDecision {
  return {
    do: 'settle',
    outcome: { success: true },
    facts: [{ type: 'message.queued', mode, message: messageOf(frame) }],
  };
}

/** The part of the frame that the engine is to see. */
function messageOf(frame: Message): Json {
  if (frame.images === undefined) return { message: frame.message };
  return { message: frame.message, images: frame.images as Json };
}
