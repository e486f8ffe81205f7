/** What a session has to be to leave memory, and what is noted of it then. State: none. */
import type { Redaction } from '../ports.ts';
import { recordOf } from '../session-record.ts';
import type { Session } from './session.ts';

/** What a session's next turn is made of. */
const FOR_ENGINES = ['input', 'cwd', 'resume', 'steers', 'followUps'] as const;

/** Nothing that its engine is still to be given lost something when it was stored: else it is only here. */
export function comesBackWhole({ state }: Session, redaction: Redaction | undefined): boolean {
  if (redaction === undefined) return true;
  const stored = redaction.state({ ...state!, messages: [] });
  return FOR_ENGINES.every((field) => stored[field] === state![field]);
}

/** As it would be folded from the journal: a checkpoint keeps it. Messages are counted and not looked at. */
export function recordAtRest({ laneSeq, state }: Session, redaction: Redaction | undefined): string {
  if (redaction === undefined) return recordOf(state!, laneSeq);
  return recordOf({ ...redaction.state({ ...state!, messages: [] }), messages: state!.messages }, laneSeq);
}
