/**
 * What an engine brings to the suite that certifies it, and what its tests share. State: none.
 */
import { getEventListeners } from 'node:events';
import { expect } from 'vitest';
import type { Json } from '../../../actors/message.ts';
import type { Engine } from '../../../actors/ports.ts';
import type { TurnUnderTest } from '../turn-under-test.ts';

/** What a session and its prompt are made of. */
export interface Setting {
  readonly sessionInput: Json;
  readonly input: Json;
}

/** An engine to be certified: how to make one, and inputs with which it does what a test needs. */
export interface EngineSuite {
  readonly name: string;
  create(): Engine;
  /** Completes by itself, with text, and takes a while after its first words. */
  readonly slow: Setting;
  /** Begins to answer and does not end unless aborted or time moves. */
  readonly endless: Setting;
  /** Refused by `checkInput`, each with the text that its problem names. */
  readonly wrong: readonly { readonly input: Json; readonly names: string }[];
  readonly does: {
    /** Fails as a result. */
    readonly fail?: Setting & { readonly kind: 'provider' | 'user' | 'timeout' };
    /** Runs a tool whose call is named after the effect id. */
    readonly effects?: Setting;
    /** Keeps a memory of its own: tells how many messages the model saw in the last turn. */
    readonly remember?: { readonly seen: () => number };
  };
}

export async function prepared(suite: EngineSuite): Promise<Engine> {
  const engine = suite.create();
  await engine.prepare();
  return engine;
}

/** Ends the engine and says what it left behind. */
export async function expectNothingLeft(turn: TurnUnderTest, engine: Engine): Promise<void> {
  engine.forget(turn.request.sessionId);
  await engine.close();
  expect(turn.clock.pendingTimers, 'timers left behind').toBe(0);
  expect(getEventListeners(turn.request.signal, 'abort').length, 'listeners left on the signal').toBe(0);
}

export function textOfInput(input: Json): Json {
  return (input as { message: string }).message;
}
