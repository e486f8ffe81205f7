/**
 * Asking the server about itself: health_check, get_startup_recovery, ping.
 */
import { envelopes } from '../protocol/envelope.ts';
import { answer, serverCommand } from './command.ts';
import { timeText } from './session-info.ts';
import { startupRecovery } from './startup-recovery.ts';

/** This server has no circuit breakers, so none is ever open; base clients expect the two fields. */
export const healthCheck = serverCommand({
  type: 'health_check',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.server,
  decide: (_frame, server) =>
    answer({
      healthy: server.issues.length === 0,
      issues: [...server.issues],
      hasOpenCircuit: false,
      hasOpenBashCircuit: false,
    }),
});

export const getStartupRecovery = serverCommand({
  type: 'get_startup_recovery',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.server,
  decide: (_frame, server) => answer(startupRecovery(server.recovery)),
});

export const ping = serverCommand({
  type: 'ping',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: envelopes.server,
  decide: (_frame, server) => answer({ time: timeText(server.now) }),
});
