/** The outcome of a command as the journal holds it. State: none. */
import type { CommandFinished, CommandSettled } from './entry.ts';
import { failure } from './message.ts';
import type { Json, Outcome } from './message.ts';

/** The outcome that an entry holds. Of one whose content was removed it says that it succeeded, or the code of the failure. */
export function outcomeOf(entry: CommandSettled | CommandFinished): Outcome {
  const { data, error, details } = entry.content;
  if (entry.success && entry.blanked === true) return { success: true, details: { redacted: true } };
  if (entry.success) return data === undefined ? { success: true } : { success: true, data };
  const failed = failure(entry.errorCode ?? '', error ?? '', entry.blanked === true ? marked(details) : details);
  return entry.timedOut === true ? { ...failed, timedOut: true } : failed;
}

function marked(details: Json | undefined): Json {
  const left = typeof details === 'object' && details !== null && !Array.isArray(details) ? details : {};
  return { ...left, redacted: true };
}
