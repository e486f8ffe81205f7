/**
 * A supervisor: is told of children that failed, and does about them what its chart decides. What a restart means for a child
 * is its owner's business. State: volatile.
 */
import type { Actor } from 'xstate';
import { supervisionMachine } from '../machines/supervision.ts';
import type { SupervisionEvent } from '../machines/supervision.ts';
import type { Host, Intent } from './host.ts';
import type { Clock } from './ports.ts';
import type { ChildSpec } from './supervision-tree.ts';

export interface Supervised {
  /** `oneForOne`: starts this child again, at once. */
  restartChild?(child: string): void;
  /**
   * `restForOne`: starts this child and those after it again. Ends in `started` or `failed` of the supervisor.
   */
  restartFrom?(child: string): void;
  /** Restarting does not help. */
  escalate(child: string): void;
}

export class Supervisor {
  readonly #host: Host;
  readonly #clock: Clock;
  readonly #children: readonly string[];
  readonly #supervised: Supervised;
  readonly #start: () => Actor<typeof supervisionMachine>;
  #actor: Actor<typeof supervisionMachine>;

  constructor(host: Host, clock: Clock, spec: ChildSpec, supervised: Supervised) {
    const { supervises } = spec;
    if (supervises === undefined) throw new Error(`'${spec.id}' is no supervisor in the tree.`);
    this.#host = host;
    this.#clock = clock;
    this.#supervised = supervised;
    this.#children = (spec.children ?? []).map(({ id }) => id);
    this.#start = () => host.start(supervisionMachine, spec.id, supervises, (intent) => this.#perform(intent));
    this.#actor = this.#start();
  }

  /** `child`: its id, or for one of many (`session:ID`) the id of the actor. */
  failed(child: string): void {
    this.#fail(child, false);
  }

  /** It can't do its work for a reason outside: it is restarted until it can. */
  unavailable(child: string): void {
    this.#fail(child, true);
  }

  /** What it restarted runs again. */
  started(): void {
    this.#tell({ type: 'children.started' });
  }

  /** The supervisor above has started it again: its children run, and what failed before is forgotten. */
  restart(): void {
    this.#host.stop(this.#actor);
    this.#actor = this.#start();
  }

  stop(): void {
    this.#tell({ type: 'supervisor.stopped' });
    this.#host.stop(this.#actor);
  }

  #fail(child: string, isOutage: boolean): void {
    const index = Math.max(0, this.#children.indexOf(child));
    this.#tell({ type: 'child.failed', child, index, at: this.#clock.now(), isOutage });
  }

  #tell(event: SupervisionEvent): void {
    if (this.#actor.getSnapshot().status !== 'active') return;
    for (const intent of this.#host.collect(() => this.#actor.send(event))) this.#perform(intent);
  }

  #perform({ type, params }: Intent): void {
    const { child } = params as { child: string };
    switch (type) {
      case 'restartChild':
        return this.#supervised.restartChild?.(child);
      case 'restartFrom':
        return this.#supervised.restartFrom?.(child);
      case 'escalate':
        return this.#supervised.escalate(child);
      default:
        throw new Error(`A supervisor does not know how to perform '${type}'.`);
    }
  }
}
