/**
 * The record of who looked at what: one entry without content per read, if the operator wants one. A read is answered when its
 * entry is durable. While nothing can be recorded reads go on, and the log says of each that it is not recorded. State: none.
 */
import { SERVER_LANE } from './entry.ts';
import type { CommandIdentity } from './command.ts';
import type { Runtime } from './runtime.ts';

export interface AuditedRead extends Pick<CommandIdentity, 'commandId' | 'explicitId' | 'sessionId'> {
  readonly commandType: string;
  readonly principal: string;
}

/** `recordable`: the journal takes entries. */
export function auditRead({ telemetry, writer }: Runtime, read: AuditedRead, recordable: boolean): void {
  const { commandId, commandType, explicitId, principal, sessionId } = read;
  const about = { commandId, commandType, explicitId, principal, ...(sessionId !== undefined && { sessionId }) };
  if (recordable) writer.append(SERVER_LANE, { kind: 'read.audited', ...about, content: {} });
  else
    telemetry.observe({ level: 'warn', message: 'a read is not recorded: the journal can not be written', ...about });
}
