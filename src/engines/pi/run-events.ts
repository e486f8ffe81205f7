/**
 * Translates what pi says during a prompt into the events of one run.
 *
 * pi begins and ends several runs within one prompt (a retry, a late steer) and speaks of itself (its system message, its
 * queue, its file). Clients get one `agent_start` and one `agent_end` with all messages between, and nothing of the rest.
 * Every object is copied: pi goes on changing those that it hands out. State: volatile.
 */
import type { Json } from '../../../actors/message.ts';
import type { SessionEvent } from '../../../actors/session/event.ts';
import { isObject } from '../message.ts';
import type { PiEvent } from './module.ts';

/** Shown as they are. */
const PASSED_ON: ReadonlySet<string> = new Set([
  'turn_start',
  'turn_end',
  'tool_execution_start',
  'tool_execution_update',
  'tool_execution_end',
  'auto_retry_start',
  'auto_retry_end',
  'compaction_start',
  'compaction_end',
]);

export class RunEvents {
  readonly #emit: (event: SessionEvent) => void;
  readonly #messages: Json[] = [];
  #open = false;
  #failure: string | undefined;

  constructor(emit: (event: SessionEvent) => void) {
    this.#emit = emit;
  }

  /** Text of the model's failure, if the newest answer is one. */
  get failure(): string | undefined {
    return this.#failure;
  }

  take(event: PiEvent): void {
    switch (event.type) {
      case 'message_start':
      case 'message_end':
        this.#message(event.type, copy(event['message']));
        break;
      case 'message_update':
        this.#update(event['assistantMessageEvent'] as Record<string, unknown>);
        break;
      case 'turn_end':
        this.#failure = failureOf(event['message'] as Record<string, unknown>);
        this.#show(copy(event) as SessionEvent);
        break;
      case 'agent_start':
        this.#begin();
        break;
      default:
        if (PASSED_ON.has(event.type)) this.#show(copy(event) as SessionEvent);
    }
  }

  /** The prompt is over. */
  close(): void {
    if (this.#open) this.#emit({ type: 'agent_end', messages: this.#messages });
    this.#open = false;
  }

  #begin(): void {
    if (this.#open) return;
    this.#open = true;
    this.#emit({ type: 'agent_start' });
  }

  #show(event: SessionEvent): void {
    this.#begin();
    this.#emit(event);
  }

  #message(type: string, message: Json): void {
    // The instructions and the schemas of all tools: not what was said, and paths of the machine among it.
    if (isObject(message) && message['role'] === 'system') return;
    if (type === 'message_end') this.#messages.push(message);
    this.#show({ type, message });
  }

  #update({ type, contentIndex, delta }: Record<string, unknown>): void {
    const change = { type: String(type), contentIndex: Number(contentIndex) };
    const assistantMessageEvent = typeof delta === 'string' ? { ...change, delta } : change;
    this.#show({ type: 'message_update', assistantMessageEvent });
  }
}

function failureOf(message: Record<string, unknown>): string | undefined {
  return message['stopReason'] === 'error' ? String(message['errorMessage'] ?? '') : undefined;
}

/** As JSON sees it: without what is undefined, and without what can change later. */
function copy(value: unknown): Json {
  return JSON.parse(JSON.stringify(value)) as Json;
}
