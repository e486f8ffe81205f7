/**
 * The gates that a new command passes behind deduplication, in the protocol's order.
 *
 * A refusal here is seen as `command_finished` and is not stored: the same id may be tried again.
 */
import { countsAsPending } from './command.ts';
import type { Connection } from './connection.ts';
import { dependencyRefusal } from './dependencies.ts';
import { failure } from './message.ts';
import type { Failure } from './message.ts';
import type { ParsedCommand } from './ports.ts';
import type { Runtime } from './runtime.ts';
import type { Mailbox } from './session/mailbox.ts';

/** Why a command that is new is not admitted, if so. `mailbox` is where it would go, if that exists. */
export function admissionRefusal(
  runtime: Runtime,
  parsed: ParsedCommand,
  connection: Connection,
  mailbox: Mailbox | undefined,
): Failure | undefined {
  const { limits, deduplication } = runtime;
  const { contract, frame } = parsed;
  const pending = pendingRefusal(runtime, parsed, connection);
  if (pending !== undefined) return pending;
  const depends = frame.dependsOn !== undefined && frame.dependsOn.length > 0;
  if (mailbox !== undefined && mailbox.overflows(contract.lane, depends)) {
    return failure('MAILBOX_FULL', `The mailbox of session ${mailbox.id} is full (max ${limits.mailboxDepthMax})`);
  }
  return depends ? dependencyRefusal(deduplication, connection.principal.id, parsed) : undefined;
}

/** Why one more command of this connection can not wait for its answer, if so. Control is exempt: an abort gets through. */
export function pendingRefusal(
  { limits }: Runtime,
  { contract }: ParsedCommand,
  connection: Connection,
): Failure | undefined {
  if (!countsAsPending(contract) || connection.pending < limits.pendingMax) return undefined;
  return failure('TOO_MANY_PENDING', `Too many pending commands for this connection (max ${limits.pendingMax})`);
}

export const unavailable = (): Failure =>
  failure('JOURNAL_UNAVAILABLE', 'The journal can not be written; nothing can be changed now');
