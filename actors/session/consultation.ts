/**
 * A read whose answer is in the journal: asked as soon as the journal holds what was recorded before, answered when it is found.
 */
import type { Command } from '../command.ts';
import { failure } from '../message.ts';
import type { ConsultDecision, Outcome } from '../message.ts';
import type { Runtime } from '../runtime.ts';
import type { Deadlines } from './deadlines.ts';

export function consult(
  runtime: Runtime,
  deadlines: Deadlines,
  command: Command,
  decision: ConsultDecision,
  tell: (outcome: Outcome) => void,
): void {
  const { journal, releases, writer } = runtime;
  deadlines.set(command);
  releases.hold(writer.newestBatch, () => {
    deadlines.arm(command);
    decision.consult(journal).then(tell, (error: unknown) => {
      tell(failure('JOURNAL_UNAVAILABLE', `The journal can not be read: ${String(error)}`));
    });
  });
}
