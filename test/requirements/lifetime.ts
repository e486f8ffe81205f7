/** A server whose sessions live ten hours and a little more, for the requirements on lifetimes. */
import type { Entry, EntryKind } from '../../actors/entry.ts';
import type { LeasePolicy } from '../../actors/session/lease-policy.ts';
import { createScene } from '../support/scene.ts';
import { entriesOf } from '../support/store.ts';
import type { Client, World, WorldOptions } from '../support/world.ts';

export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;

export const policy: LeasePolicy = {
  baseMs: 10 * HOUR_MS,
  extensionMs: 4 * HOUR_MS,
  extensionsMax: 2,
  thresholdMs: HOUR_MS,
};

interface Answer {
  readonly success?: boolean;
  readonly errorCode?: string;
  readonly data?: Record<string, unknown>;
}

/** A session `s`, made now, with a client attached to it. */
export async function createLife(options: WorldOptions = {}) {
  const scene = await createScene({ ...options, limits: { lease: policy, ...options.limits } });
  const { client, send, world } = scene;
  const createdAt = world.clock.now();
  let asked = 0;
  /** The answer to a command on `s`. */
  const ask = async (type: string, fields: object = {}) => {
    const id = `ask-${(asked += 1)}`;
    await send({ type, id, sessionId: 's', ...fields });
    return (client.response(id) ?? {}) as Answer;
  };
  /** Moves the clock to a time after the creation. */
  const at = (ms: number): Promise<void> => world.advance(createdAt + ms - world.clock.now());
  const touch = () => ask('set_session_name', { name: `n${asked}` });
  const lease = async () => {
    const { data } = await ask('get_state');
    const { deadline, extensions } = data?.['lease'] as { deadline: string; extensions: number };
    return { deadlineMs: Date.parse(deadline) - createdAt, extensions };
  };
  const lastActivityMs = async () => {
    const { data } = await ask('get_state');
    return Date.parse(String(data?.['lastActivityAt'])) - createdAt;
  };
  return { ...scene, createdAt, ask, at, touch, lease, lastActivityMs };
}

export type Life = Awaited<ReturnType<typeof createLife>>;

/** Session events of a type that a client saw, without what all of them have. */
export function eventsOf(client: Client, type: string): unknown[] {
  return client
    .of('event')
    .filter((frame) => frame['event'].type === type)
    .map(({ event }) => event as unknown);
}

export async function entriesIn({ store }: World, kind: EntryKind): Promise<Entry[]> {
  return (await entriesOf(store)).filter((entry) => entry.kind === kind);
}
