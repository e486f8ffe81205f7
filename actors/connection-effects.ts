/**
 * What a response does to the connection that it goes to: attach, detach, subscribe, unsubscribe. In the same step of the
 * release queue as the response, so that nothing comes in between. State: none.
 */
import type { Connection } from './connection.ts';
import type { ConnectionEffect } from './message.ts';
import type { Runtime } from './runtime.ts';
import type { SessionView } from './session/session-state.ts';
import type { Place } from './subscriptions.ts';

/** Where the events of a session stand now: it goes on before the response leaves. */
export function placeOf({ epoch, seq, openedOffset }: SessionView, lastOffset: number): Place {
  return { epoch, seq, openedOffset, lastOffset };
}

/** `place`: where the session stood when the command acted. */
export function affect(
  { subscriptions }: Pick<Runtime, 'subscriptions'>,
  connection: Connection,
  effects: readonly ConnectionEffect[],
  place: Place | undefined,
): void {
  for (const effect of effects) {
    switch (effect.type) {
      case 'attach':
        if (place !== undefined) subscriptions.attach(effect.sessionId, connection, effect, place);
        break;
      case 'detach':
        subscriptions.detach(effect.sessionId, connection);
        break;
      case 'subscribe':
        if (effect.topics.includes('sessions')) subscriptions.sessionTopic.add(connection);
        if (!effect.topics.includes('lifecycle')) break;
        connection.ownLifecycle = effect.scope === 'own';
        if (effect.scope === 'own') subscriptions.lifecycle.delete(connection);
        else subscriptions.lifecycle.add(connection);
        break;
      case 'unsubscribe':
        if (effect.topics.includes('sessions')) subscriptions.sessionTopic.delete(connection);
        if (!effect.topics.includes('lifecycle')) break;
        connection.ownLifecycle = false;
        subscriptions.lifecycle.delete(connection);
        break;
      default:
        effect satisfies never;
    }
  }
}
