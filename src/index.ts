/**
 * The public API: a server to embed, its configuration, and the ports that an embedding program can fill itself.
 */
export { createServer, StartRefused } from './server.ts';
export type { Listening, Server, ServerParts, StartedServer } from './server.ts';
export type { StdioEnd, StdioStreams } from './transports/stdio.ts';
export { checkConfig, defaultConfig } from './config.ts';
export type { Config, ConfigInput, ConfigIssue } from './config.ts';
export type { Inspector } from '../actors/host.ts';
export type { Place } from '../actors/supervision-tree.ts';
export { JournalRefused } from '../actors/ports.ts';
export type { Clock, Engine, Ids, Journal, Observation, Telemetry } from '../actors/ports.ts';
