/**
 * What a new connection is told first: what the server is and can do, and what its last boot found.
 */
import type { Json, Principal, ServerView } from '../../actors/message.ts';
import { protocolVersion } from '../protocol/version.ts';
import { timeText } from './session-info.ts';
import { startupRecoverySummary } from './startup-recovery.ts';

export interface GreetingOptions {
  readonly transports: readonly string[];
  /** Command types and engines, for clients that adapt to what is there. */
  readonly commands: readonly string[];
  readonly engines: readonly string[];
  /** The limits that a client has to keep within. */
  readonly limits: { readonly frameBytesMax: number; readonly pendingMax: number; readonly mailboxDepthMax: number };
}

export function createGreeting(options: GreetingOptions) {
  return (server: ServerView, connection: { readonly principal: Principal }): { type: string; data: Json }[] => {
    const { id, scopes } = connection.principal;
    const engines = options.engines.map((kind) => ({ kind, capabilities: [...server.engineCapabilities(kind)] }));
    const { frameBytesMax, pendingMax, mailboxDepthMax } = options.limits;
    const ready: Json = {
      serverVersion: server.serverVersion,
      protocolVersion,
      transports: [...options.transports],
      capabilities: { commands: [...options.commands], engines },
      limits: { frameBytesMax, pendingMax, mailboxDepthMax },
      principal: { id, scopes: [...scopes] },
      time: timeText(server.now),
    };
    return [{ type: 'server_ready', data: ready }, recoveryAnnouncement(server)];
  };
}

/** What a start found, or a recovery while clients were connected. */
export function recoveryAnnouncement(server: ServerView): { type: string; data: Json } {
  return { type: 'startup_recovery_summary', data: startupRecoverySummary(server.recovery) };
}
