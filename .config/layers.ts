/**
 * Who may import whom, as data. `npm run check` enforces it and the picture of the layers is compared with it.
 *
 * A layer is a folder or a file; the first layer whose pattern matches a module owns that module. What a layer may import
 * is listed, and everything else is refused: a new folder or a new package has to be named here before it can be used.
 */

export interface Layer {
  readonly name: string;
  /** Modules of the layer: a pattern on the path from the root. */
  readonly path: string;
  /** Names of other layers that it may import. Its own modules are always allowed, unless it is `isolated`. */
  readonly layers: readonly string[];
  /** Packages that it may import. */
  readonly packages: readonly string[];
  /** May it import what Node brings along (node:fs, ...)? */
  readonly node: boolean;
  readonly why: string;
}

const adapter = (name: string): Layer => ({
  name,
  path: `^src/${name}/`,
  layers: ['protocol', 'vocabulary'],
  packages: ['zod', ...VENDORS.filter((vendor) => vendor.layer === name).map((vendor) => vendor.package)],
  node: true,
  // zod is no vendor here: what comes in over an edge is checked at that edge.
  why: 'Adapters know the ports that they implement and the wire, never each other nor the runtime behind the ports.',
});

/** A vendor package appears in one place per side, so that it can be replaced there. */
export const VENDORS: readonly { package: string; layer: string; path: string }[] = [
  { package: 'better-sqlite3', layer: 'journal', path: '^src/journal/sqlite[^/]*[.]ts$' },
  { package: 'ws', layer: 'transports', path: '^src/(transports/websocket[^/]*[.]ts$|client/)' },
  { package: 'pino', layer: 'telemetry', path: '^src/telemetry/logger[.]ts$' },
  { package: 'pino-pretty', layer: 'telemetry', path: '^src/telemetry/logger[.]ts$' },
  { package: 'mitt', layer: 'telemetry', path: '^src/(telemetry/|server[.]ts$)' },
  { package: 'commander', layer: 'cli', path: '^src/cli/' },
];

export const LAYERS: readonly Layer[] = [
  {
    name: 'machines',
    path: '^machines/',
    layers: [],
    packages: ['xstate'],
    node: false,
    why: 'Machines know states, events and time: no clock, no randomness, no I/O, no logger.',
  },
  {
    name: 'vocabulary',
    path: '^actors/((json|message|ports|entry|limits)|session/(event|event-pages))[.]ts$',
    layers: ['actors', 'machines'],
    packages: ['xstate'],
    node: false,
    why: 'The part of the runtime that others may see: its ports, its messages, its entries, and how events are found in them.',
  },
  {
    name: 'actors',
    path: '^actors/',
    layers: ['machines', 'vocabulary'],
    packages: ['xstate'],
    node: false,
    why: 'Actors know identity, order and failure. What touches bytes or disks comes in through a port.',
  },
  {
    name: 'protocol',
    path: '^src/protocol/',
    layers: [],
    packages: ['zod'],
    node: false,
    why: 'The wire contract runs in a browser.',
  },
  {
    name: 'client',
    path: '^src/client/',
    layers: ['protocol'],
    packages: ['ws'],
    node: false,
    why: 'A client knows the wire and nothing of the server.',
  },
  {
    name: 'commands',
    path: '^src/commands/',
    layers: ['protocol', 'vocabulary'],
    packages: ['zod'],
    node: false,
    why: 'A command is a schema, a contract and a handler over ports.',
  },
  adapter('journal'),
  adapter('engines'),
  adapter('transports'),
  adapter('telemetry'),
  {
    name: 'errors',
    path: '^src/errors[.]ts$',
    layers: ['protocol'],
    packages: ['zod'],
    node: false,
    why: 'One table of coded errors.',
  },
  {
    name: 'config',
    path: '^src/config[^/]*[.]ts$',
    layers: ['protocol', 'errors', 'vocabulary'],
    packages: ['zod'],
    node: true,
    why: 'Options are data: their schema and defaults construct nothing.',
  },
  {
    name: 'host',
    path: '^src/(clock|ids|version|listener-watch)[.]ts$',
    layers: ['vocabulary'],
    packages: [],
    node: true,
    why: 'Time, identity and a listener as Node has them, and which version this is.',
  },
  {
    name: 'composition',
    path: '^src/(index[.]ts$|server[.]ts$|cli/|testing/)',
    layers: ['*'],
    packages: ['*'],
    node: true,
    why: 'The only places that construct.',
  },
  {
    name: 'outside',
    path: '^(test|visualizations)/',
    layers: ['*'],
    packages: ['*'],
    node: true,
    why: 'Tests and generators use what they need; nothing that is shipped imports them.',
  },
];
