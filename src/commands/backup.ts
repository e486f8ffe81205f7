/**
 * Copying the journal of the running server: backup.
 *
 * The copy is made by housekeeping, beside the work of the server; the answer comes when it is verified and in place. Who asks
 * while one is being made gets that one.
 */
import { envelopes } from '../protocol/envelope.ts';
import { serverCommand } from './command.ts';

export const backup = serverCommand({
  type: 'backup',
  scope: 'operate',
  lane: 'control',
  activity: 'none',
  timeout: 'long',
  fields: envelopes.server,
  decide: (_frame, server) => ({ do: 'consult', consult: () => server.backUp() }),
});
