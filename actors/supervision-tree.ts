/**
 * The supervision tree: who restarts whom, how often, and what kind of state each of them holds. One literal; everything that
 * restarts reads it, inspectors are told from it, and the picture in `visualizations/` is drawn from it.
 *
 * Words and semantics are OTP's. A `permanent` child is always restarted, a `transient` one when it ends abnormally, a
 * `temporary` one never. `restForOne` restarts the child that failed and those that were started after it; `oneForOne` it
 * alone. State: none.
 */
import type { SupervisionInput } from '../machines/supervision.ts';

/** durable: in the journal; rebuildable: folded from it; volatile: gone with the actor, and that is fine. */
export type StateKind = 'durable' | 'rebuildable' | 'volatile';

export type Restart = 'permanent' | 'transient' | 'temporary';

export interface ChildSpec {
  /** The actor's id, or what stands before its colon. */
  readonly id: string;
  /** Id of its chart. */
  readonly machine: string;
  readonly restart: Restart;
  readonly state: StateKind;
  /** A supervisor: how it restarts its children. Children of an actor without one live and die with it. */
  readonly supervises?: SupervisionInput;
  /** In the order of their start; they stop in reverse. */
  readonly children?: readonly ChildSpec[];
}

/**
 * The root's back-off doubles up to its maximum, and still a child in which a defect shows again and again exceeds its
 * intensity within half a minute: then the process ends. A journal that can't be written is an outage, which may last for hours.
 */
export const supervisionTree = {
  id: 'root',
  machine: 'supervision',
  restart: 'permanent',
  state: 'volatile',
  supervises: { strategy: 'restForOne', restartsMax: 10, periodMs: 60_000, backOffMs: 100, backOffMaxMs: 5000 },
  children: [
    { id: 'journal', machine: 'journal', restart: 'permanent', state: 'durable' },
    {
      id: 'directory',
      machine: 'router',
      restart: 'permanent',
      state: 'rebuildable',
      children: [{ id: 'recovery', machine: 'recovery', restart: 'temporary', state: 'rebuildable' }],
    },
    {
      id: 'transports',
      machine: 'supervision',
      restart: 'permanent',
      state: 'volatile',
      // Its children are temporary: it has no restart to count.
      supervises: { strategy: 'oneForOne', restartsMax: 0, periodMs: 1000 },
      children: [
        {
          id: 'connection',
          machine: 'connection',
          restart: 'temporary',
          state: 'volatile',
          children: [{ id: 'heartbeat', machine: 'heartbeat', restart: 'temporary', state: 'volatile' }],
        },
        { id: 'server', machine: 'server', restart: 'temporary', state: 'volatile' },
      ],
    },
    {
      id: 'sessions',
      machine: 'supervision',
      restart: 'permanent',
      state: 'volatile',
      supervises: { strategy: 'oneForOne', restartsMax: 100, periodMs: 10_000 },
      children: [
        {
          id: 'session',
          machine: 'session',
          restart: 'transient',
          state: 'durable',
          children: [
            { id: 'lane', machine: 'lane', restart: 'temporary', state: 'rebuildable' },
            { id: 'turn', machine: 'turn', restart: 'temporary', state: 'durable' },
            { id: 'lease', machine: 'lease', restart: 'temporary', state: 'durable' },
            { id: 'command', machine: 'command', restart: 'temporary', state: 'durable' },
          ],
        },
      ],
    },
    {
      id: 'upkeep',
      machine: 'supervision',
      restart: 'permanent',
      state: 'volatile',
      // What looks after the journal is not worth a restart of the server.
      supervises: { strategy: 'oneForOne', restartsMax: 3, periodMs: 3_600_000 },
      children: [{ id: 'housekeeping', machine: 'housekeeping', restart: 'permanent', state: 'volatile' }],
    },
  ],
} as const satisfies ChildSpec;

/** Where an actor stands in the tree, as inspectors are told. */
export interface Place extends Pick<ChildSpec, 'id' | 'machine' | 'restart' | 'state'> {
  /** Id of the supervisor above it; undefined for the root. */
  readonly supervisor: string | undefined;
}

const places = new Map<string, Place>();
enter(supervisionTree, undefined);

/** The place of an actor by its id; undefined for one that is not in the tree. */
export function placeOf(actorId: string): Place | undefined {
  const colon = actorId.indexOf(':');
  return places.get(colon < 0 ? actorId : actorId.slice(0, colon));
}

function enter(spec: ChildSpec, supervisor: string | undefined): void {
  const { id, machine, restart, state } = spec;
  places.set(id, { id, machine, restart, state, supervisor });
  const above = spec.supervises === undefined ? supervisor : id;
  for (const child of spec.children ?? []) enter(child, above);
}
