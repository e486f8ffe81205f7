/**
 * What an entry tells the session's chart. Most entries tell it nothing: a command that is settled in one step, an event of a
 * turn that speaks already. Pure.
 */
import type { Entry } from '../entry.ts';
import type { OpenTurn, SessionState } from './session-state.ts';

export type ChartStep =
  | { readonly type: 'opened' }
  | { readonly type: 'closed' }
  | WorkAccepted
  | {
      readonly type: 'started';
      readonly acceptedOffset: number;
      readonly commandId: string;
      readonly attempt: number;
      /** It begins a turn. */
      readonly turn: boolean;
    }
  | { readonly type: 'spoke' }
  | {
      readonly type: 'ended';
      readonly acceptedOffset: number;
      /** It was the running turn's; else it waited, or was never in the lane. */
      readonly turn: boolean;
      readonly success: boolean;
      /** The engine has not let go yet. */
      readonly interrupted: boolean;
      readonly timedOut: boolean;
    }
  | { readonly type: 'released' }
  | { readonly type: 'announced'; readonly extensions: number; readonly extensionsMax: number }
  | { readonly type: 'extended'; readonly extensions: number }
  | { readonly type: 'expired' };

export interface WorkAccepted {
  readonly type: 'accepted';
  readonly offset: number;
  readonly commandId: string;
  readonly deadlineAt: number | undefined;
}

/** All that one entry tells the chart, in order; between them nobody looks at it. */
export type ChartSteps = readonly ChartStep[];

/**
 * @param turn that ran before the entry; `silent`: its engine had not spoken then.
 * @param state behind the entry.
 */
export function stepsOf(
  entry: Entry,
  journalLane: string,
  turn: OpenTurn | null,
  silent: boolean,
  state: SessionState | undefined,
): ChartSteps | undefined {
  switch (entry.kind) {
    case 'command.settled':
      return withFacts(undefined, entry);
    case 'session.event':
      if (entry.eventType !== 'session_expiring') return silent ? [{ type: 'spoke' }] : undefined;
      if (state === undefined) return undefined;
      return [announcedBy(state)];
    case 'command.accepted': {
      if (entry.mailbox !== 'work' || entry.lane !== journalLane) return undefined;
      const { offset, commandId, deadlineAt } = entry;
      return [{ type: 'accepted', offset, commandId, deadlineAt }];
    }
    case 'command.started': {
      const { acceptedOffset, commandId, attempt, content } = entry;
      return [{ type: 'started', acceptedOffset, commandId, attempt, turn: content.turn !== undefined }];
    }
    case 'command.finished': {
      const { acceptedOffset, success, interrupted = false, timedOut = false } = entry;
      const ended = { type: 'ended', acceptedOffset, success, interrupted, timedOut } as const;
      return withFacts({ ...ended, turn: turn?.acceptedOffset === acceptedOffset }, entry);
    }
    case 'turn.released':
      return [{ type: 'released' }];
    case 'lease.extended':
      return [{ type: 'extended', extensions: entry.extensions }];
    case 'session.expired':
      return [{ type: 'expired' }];
    case 'session.purged':
      return [{ type: 'closed' }];
    default:
      return undefined;
  }
}

/** Everybody was told of the end of a session that is in this state. */
export function announcedBy({ lease: { extensions, policy } }: SessionState): ChartStep {
  return { type: 'announced', extensions, extensionsMax: policy.extensionsMax };
}

function withFacts(
  first: ChartStep | undefined,
  { content: { facts } }: Extract<Entry, { kind: 'command.settled' | 'command.finished' }>,
): ChartSteps | undefined {
  if (facts === undefined) return first && [first];
  const steps: ChartStep[] = first === undefined ? [] : [first];
  for (const { type } of facts) {
    if (type === 'session.opened') steps.push({ type: 'opened' });
    else if (type === 'session.closed') steps.push({ type: 'closed' });
  }
  return steps.length === 0 ? undefined : steps;
}
