/**
 * One session event as frames: serialized for the first client that wants it that way, then shared by all others.
 */
import type { DeltaMode, Json } from '../message.ts';
import type { Frames } from '../ports.ts';
import type { EventFrame } from '../subscriptions.ts';
import { isDurable } from './event.ts';
import type { SessionEvent } from './event.ts';

/** From this much partial text on, the whole message is no longer sent with every delta: the bytes grow quadratically. */
const FULL_PARTIAL_CHARS_MAX = 65_536;

type JsonObject = { [key: string]: Json };

/** `partial` is the unfinished message at the time of the event, for `message_update` alone. */
export function eventFrame(
  frames: Frames,
  sessionId: string,
  epoch: string,
  seq: number,
  event: SessionEvent,
  partial: { readonly chars: number; readonly message: () => JsonObject } | undefined,
): EventFrame {
  const ephemeral = !isDurable(event);
  const whole = partial !== undefined && partial.chars < FULL_PARTIAL_CHARS_MAX ? partial.message() : undefined;
  let compact: string | undefined;
  let full: string | undefined;
  return {
    ephemeral,
    seq,
    epoch,
    text(deltas: DeltaMode) {
      if (deltas !== 'full' || whole === undefined) {
        return (compact ??= frames.event(sessionId, epoch, seq, event, ephemeral));
      }
      return (full ??= frames.event(sessionId, epoch, seq, withPartial(event, whole), ephemeral));
    },
  };
}

function withPartial(event: SessionEvent, message: JsonObject): SessionEvent {
  const change = event['assistantMessageEvent'];
  if (change === null || typeof change !== 'object' || Array.isArray(change)) return { ...event, message };
  return { ...event, message, assistantMessageEvent: { ...change, partial: message } };
}
