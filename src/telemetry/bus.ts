/**
 * The in-process bus between the runtime and those who observe it: the `Telemetry` port over mitt.
 *
 * An observation is handed over at once, in the order of `observe`. A level that nobody subscribed to costs one look-up, and
 * a subscriber that throws is its own problem: the runtime never learns of it. State: volatile (the subscriptions).
 */
import mitt from 'mitt';
import type { Observation, Telemetry } from '../../actors/ports.ts';

export type Level = Observation['level'];

/** From the chattiest to the gravest. */
const levels: readonly Level[] = ['debug', 'info', 'warn', 'error'];

// The package ships ES modules at run time and declares itself CommonJS to the compiler, which so sees a namespace.
const createEmitter = mitt as unknown as typeof mitt.default;

export interface Bus extends Telemetry {
  /** Hears everything from `level` upwards; the returned function ends that. */
  subscribe(level: Level, listener: (observation: Observation) => void): () => void;
}

export function createBus(): Bus {
  const emitter = createEmitter<Record<Level, Observation>>();
  const audience: Record<Level, number> = { debug: 0, info: 0, warn: 0, error: 0 };

  return {
    enabled: (level) => audience[level] > 0,
    observe(observation) {
      if (audience[observation.level] > 0) emitter.emit(observation.level, observation);
    },
    subscribe(level, listener) {
      const heard = levels.slice(levels.indexOf(level));
      // One function per subscription: mitt takes a listener away by identity, and the same one may come twice.
      const guarded = (observation: Observation): void => {
        try {
          listener(observation);
        } catch {
          // Telemetry must not take down what it watches, and there is no better place to tell.
        }
      };
      for (const each of heard) {
        emitter.on(each, guarded);
        audience[each] += 1;
      }
      let subscribed = true;
      return () => {
        if (!subscribed) return;
        subscribed = false;
        for (const each of heard) {
          emitter.off(each, guarded);
          audience[each] -= 1;
        }
      };
    },
  };
}
