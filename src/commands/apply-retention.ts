/**
 * Applying journal.retention to the running server's journal now: apply_retention.
 *
 * Done by housekeeping, beside the work of the server; the answer comes when it is over. Who asks while it is being done gets
 * that run.
 */
import { envelopes } from '../protocol/envelope.ts';
import { serverCommand } from './command.ts';

export const applyRetention = serverCommand({
  type: 'apply_retention',
  scope: 'operate',
  lane: 'control',
  activity: 'none',
  timeout: 'long',
  fields: envelopes.server,
  decide: (_frame, server) => ({ do: 'consult', consult: () => server.applyRetention() }),
});
