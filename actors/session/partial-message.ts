/**
 * The assistant message that is being streamed, put together from its deltas.
 *
 * Kept once per turn: for those who attach in the middle, for the message that an interrupted turn leaves behind, and for
 * clients that want the whole message with every delta. State: volatile.
 */
import type { Json } from '../message.ts';
import type { SessionEvent } from './event.ts';

type JsonObject = { [key: string]: Json };

interface Part {
  readonly type: 'text' | 'thinking';
  text: string;
}

export class PartialMessage {
  readonly #start: JsonObject;
  readonly #parts = new Map<number, Part>();
  readonly #bytesMax: number;
  #chars = 0;
  #truncated = false;

  constructor(start: JsonObject, bytesMax: number) {
    this.#start = start;
    this.#bytesMax = bytesMax;
  }

  /** Length of all text so far. */
  get chars(): number {
    return this.#chars;
  }

  get truncated(): boolean {
    return this.#truncated;
  }

  /** The text for people, without what the model thinks. */
  get text(): string {
    let text = '';
    for (const part of this.#parts.values()) if (part.type === 'text') text += part.text;
    return text;
  }

  /** Takes a `message_update`. */
  update(event: SessionEvent): void {
    const change = event['assistantMessageEvent'];
    if (change === null || typeof change !== 'object' || Array.isArray(change)) return;
    const { type, contentIndex, delta } = change;
    if (typeof delta !== 'string' || typeof contentIndex !== 'number' || typeof type !== 'string') return;
    const kind = type === 'text_delta' ? 'text' : type === 'thinking_delta' ? 'thinking' : undefined;
    if (kind === undefined) return;
    let part = this.#parts.get(contentIndex);
    if (part === undefined) {
      part = { type: kind, text: '' };
      this.#parts.set(contentIndex, part);
    }
    // A character takes at most three bytes of UTF-8 per code unit: the bound holds without counting bytes per delta.
    const room = Math.floor(this.#bytesMax / 3) - this.#chars;
    if (delta.length > room) this.#truncated = true;
    const kept = delta.length > room ? delta.slice(0, Math.max(0, room)) : delta;
    part.text += kept;
    this.#chars += kept.length;
  }

  /** The message as far as it came. */
  snapshot(): JsonObject {
    const { content } = this.#start;
    const parts = new Map<number, Json>(Array.isArray(content) ? content.entries() : []);
    for (const [index, part] of this.#parts) parts.set(index, { type: part.type, [part.type]: part.text });
    const inOrder = [...parts].sort(([left], [right]) => left - right).map(([, part]) => part);
    return { ...this.#start, content: inOrder };
  }
}
