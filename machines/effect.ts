/**
 * Placeholders for effects.
 *
 * A chart names what a transition causes and does none of it. The host provides every effect as an intent that is released
 * once the facts behind it are durable; run unprovided, an effect fails loudly instead of silently doing nothing.
 */

/** An action that a host has to provide. `params` is what the intent carries. */
export type Effect<Params> = ((args: unknown, params: Params) => void) & { readonly effect: string };

export function effect<Params = undefined>(name: string): Effect<Params> {
  const unprovided = (): void => {
    throw new Error(`The effect '${name}' was run without a host that provides it.`);
  };
  return Object.assign(unprovided, { effect: name });
}

/** The name of an effect placeholder; `undefined` for an action that the chart does itself (assign, spawn). */
export function effectName(action: unknown): string | undefined {
  return typeof action === 'function' && 'effect' in action ? String(action.effect) : undefined;
}

/** More microsteps than any chart here takes for one event: what passes it loops. */
export const MICROSTEPS_MAX = 100;
