/**
 * Holds a run's events against the grammar that the Engine port promises:
 *
 *     agent_start (turn_start (message_start message_update* message_end
 *                             | tool_execution_start tool_execution_update* tool_execution_end)* turn_end)* agent_end
 *
 * Tools of one turn may run side by side, and their results are messages that come while others still run. Event types that
 * the grammar does not name (status, notify, ...) may stand anywhere inside the run. State: volatile.
 */
import type { SessionEvent } from '../../actors/session/event.ts';

type Place = 'before' | 'agent' | 'turn' | 'message' | 'after';

export class EventGrammar {
  #place: Place = 'before';
  readonly #tools = new Set<string>();

  /** True when the run began and everything that was opened is closed. */
  get complete(): boolean {
    return this.#place === 'after';
  }

  /** What is wrong with the event at this place; `undefined` when nothing is. A wrong event changes nothing. */
  accept(event: SessionEvent): string | undefined {
    switch (event.type) {
      case 'agent_start':
        return this.#move(event, ['before'], 'agent');
      case 'agent_end':
        return this.#move(event, ['agent'], 'after');
      case 'turn_start':
        return this.#move(event, ['agent'], 'turn');
      case 'turn_end':
        if (this.#tools.size > 0) return `turn_end while a tool runs: ${[...this.#tools].join(', ')}`;
        return this.#move(event, ['turn'], 'agent');
      case 'message_start':
        return this.#move(event, ['turn'], 'message');
      case 'message_update':
        return this.#move(event, ['message'], 'message');
      case 'message_end':
        return this.#move(event, ['message'], 'turn');
      case 'tool_execution_start':
      case 'tool_execution_update':
      case 'tool_execution_end':
        return this.#tool(event);
      default:
        return this.#move(event, ['agent', 'turn', 'message'], this.#place);
    }
  }

  #move(event: SessionEvent, from: readonly Place[], to: Place): string | undefined {
    if (!from.includes(this.#place)) return `${event.type} ${PLACES[this.#place]}`;
    this.#place = to;
    return undefined;
  }

  #tool(event: SessionEvent): string | undefined {
    const id = String(event['toolCallId']);
    const wrongPlace = this.#move(event, ['turn', 'message'], this.#place);
    if (wrongPlace !== undefined) return wrongPlace;
    if (event.type === 'tool_execution_start') {
      if (this.#tools.has(id)) return `tool_execution_start of ${id}, which runs already`;
      this.#tools.add(id);
      return undefined;
    }
    if (!this.#tools.has(id)) return `${event.type} of ${id}, which does not run`;
    if (event.type === 'tool_execution_end') this.#tools.delete(id);
    return undefined;
  }
}

const PLACES = {
  before: 'before agent_start',
  agent: 'outside of a turn',
  turn: 'inside a turn',
  message: 'inside a message',
  after: 'after agent_end',
};

/** The first offence in a list of events, with its index; `undefined` when there is none. */
export function grammarOffence(events: readonly SessionEvent[]): string | undefined {
  const grammar = new EventGrammar();
  for (const [index, event] of events.entries()) {
    const offence = grammar.accept(event);
    if (offence !== undefined) return `event ${index}: ${offence}`;
  }
  return undefined;
}
