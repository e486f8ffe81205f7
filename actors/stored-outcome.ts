/** The outcome of a command as the journal holds it. State: none. */
import type { CommandFinished, CommandSettled } from './entry.ts';
import { failure } from './message.ts';
import type { Outcome } from './message.ts';

/** The outcome that an entry holds. */
export function outcomeOf(entry: CommandSettled | CommandFinished): Outcome {
  const { data, error, details } = entry.content;
  if (entry.success) return data === undefined ? { success: true } : { success: true, data };
  const failed = failure(entry.errorCode ?? '', error ?? '', details);
  return entry.timedOut === true ? { ...failed, timedOut: true } : failed;
}
