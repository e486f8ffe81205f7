/** Where most tests begin: a server that is up, a client, and a session `s` that it is attached to. */
import { ManualEngine } from './manual-engine.ts';
import { createWorld } from './world.ts';
import type { Client, Frame, World, WorldOptions } from './world.ts';

export interface Scene {
  readonly world: World;
  readonly client: Client;
  readonly engine: ManualEngine;
  /** Sends commands in one go and lets everything happen that can happen now. */
  send(...frames: { readonly type: string; readonly [field: string]: unknown }[]): Promise<void>;
  response(id: string): Frame | undefined;
  /** Starts a prompt and waits until the engine was called. */
  prompt(id: string, sessionId?: string): Promise<void>;
}

export async function createScene(options: WorldOptions = {}): Promise<Scene> {
  const engine = new ManualEngine();
  const world = createWorld({ engines: [engine], ...options });
  await world.start();
  const client = world.connect();
  const send: Scene['send'] = async (...frames) => {
    for (const frame of frames) client.send(frame);
    await world.settle();
  };
  const prompt = (id: string, sessionId = 's') => send({ type: 'prompt', id, sessionId, message: id });
  const response = (id: string) => client.response(id);
  await send(
    { type: 'create_session', id: 'create', sessionId: 's' },
    { type: 'attach_session', id: 'attach', sessionId: 's', deltas: 'compact' },
  );
  client.frames.length = 0;
  return { world, client, engine, send, response, prompt };
}

/** Ids of the commands that a client has an answer to, in the order of the answers. */
export function answered(client: Client): unknown[] {
  return client.responses().map(({ id }) => id);
}
