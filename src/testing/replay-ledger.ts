/**
 * What entries come to, in the form that a recorded window and its replay have in common: how each command ended, and the types
 * of the events of each session in their order. State: volatile.
 */
import type { Entry } from '../../actors/entry.ts';
import type { SessionEvent } from '../../actors/session/event.ts';

/** How a command ended, as far as it is the same whenever it is run. */
export interface ReplayedOutcome {
  readonly success: boolean;
  readonly errorCode?: string;
  readonly sessionVersion?: number;
}

/** Outcomes by the label of their command, and types of durable events by session. */
export interface Replayed {
  readonly outcomes: { readonly [label: string]: ReplayedOutcome };
  readonly events: { readonly [sessionId: string]: readonly string[] };
}

/** Who needs no name: without authentication everybody is the operator. */
export const OPERATOR = 'local';

export function labelOf(principal: string, name: string): string {
  return principal === OPERATOR ? name : `${principal}/${name}`;
}

export class ReplayLedger {
  readonly outcomes = new Map<string, ReplayedOutcome>();
  readonly events = new Map<string, string[]>();
  readonly #labels = new Map<number, string>();
  #generated = 0;

  /** @returns the label of the command that the entry admits. */
  take(entry: Entry): string | undefined {
    switch (entry.kind) {
      case 'command.accepted':
        return this.#admit(entry);
      case 'command.settled': {
        const label = this.#admit(entry);
        this.#end(label, entry.sessionId, entry);
        return label;
      }
      case 'command.finished':
        this.#end(this.#labels.get(entry.acceptedOffset), entry.sessionId, entry);
        return undefined;
      case 'session.event':
        this.#tell(entry.sessionId, [entry.eventType]);
        return undefined;
      default:
        return undefined;
    }
  }

  /** The label of the command that was admitted at an offset. */
  labelAt(offset: number): string | undefined {
    return this.#labels.get(offset);
  }

  get all(): Replayed {
    return { outcomes: Object.fromEntries(this.outcomes), events: Object.fromEntries(this.events) };
  }

  /** Of an id that nobody chose it is the place among its like that stays the same. */
  #admit(entry: Extract<Entry, { kind: 'command.accepted' | 'command.settled' }>): string {
    const { commandId, principal, explicitId, offset } = entry;
    const name = explicitId ? commandId : `(without id ${(this.#generated += 1)})`;
    const label = labelOf(principal, name);
    this.#labels.set(offset, label);
    return label;
  }

  #end(
    label: string | undefined,
    sessionId: string | undefined,
    entry: Extract<Entry, { kind: 'command.settled' | 'command.finished' }>,
  ): void {
    const { success, errorCode, sessionVersion, content } = entry;
    const session = sessionId ?? sessionOfLane(entry.lane);
    if (session !== undefined)
      this.#tell(
        session,
        (content.events ?? []).map(({ type }: SessionEvent) => type),
      );
    if (label === undefined) return;
    this.outcomes.set(label, {
      success,
      ...(errorCode !== undefined && { errorCode }),
      ...(sessionVersion !== undefined && { sessionVersion }),
    });
  }

  #tell(sessionId: string, types: readonly string[]): void {
    if (types.length === 0) return;
    const before = this.events.get(sessionId);
    if (before === undefined) this.events.set(sessionId, [...types]);
    else before.push(...types);
  }
}

function sessionOfLane(lane: string): string | undefined {
  return lane.startsWith('session:') ? lane.slice('session:'.length) : undefined;
}
