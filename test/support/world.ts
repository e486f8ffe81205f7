/**
 * A whole server without sockets and disks, for tests of behaviour: the real runtime, commands, frames and engines over a
 * memory journal and a clock that the test moves. State: volatile.
 */
import { createSystem } from '../../actors/system.ts';
import type { System } from '../../actors/system.ts';
import type { UpkeepOptions } from '../../actors/upkeep.ts';
import type { Limits } from '../../actors/limits.ts';
import type { Principal } from '../../actors/message.ts';
import type { Engine, Journal, Outlet, Peer } from '../../actors/ports.ts';
import { catalog } from '../../src/commands/catalog.ts';
import type { Command } from '../../src/commands/command.ts';
import { createGreeting, recoveryAnnouncement } from '../../src/commands/greeting.ts';
import { createIntake } from '../../src/commands/intake.ts';
import { createRegistry } from '../../src/commands/registry.ts';
import { createEchoEngine } from '../../src/engines/echo.ts';
import { createScriptedEngine } from '../../src/engines/scripted.ts';
import { fingerprint } from '../../src/journal/fingerprint.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { createRedaction } from '../../src/journal/redaction.ts';
import { frames } from '../../src/protocol/frames.ts';
import type { RedactionRules } from '../../src/protocol/redaction-rules.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { createHeldJournal } from '../../src/testing/held-journal.ts';

export interface Frame {
  readonly type: string;
  readonly [field: string]: any; // eslint-disable-line @typescript-eslint/no-explicit-any -- frames of any kind, read by tests
}

const LOCAL: Principal = { id: 'local', scopes: ['observe', 'drive', 'approve', 'exec', 'operate'] };

export const limits: Limits = {
  sessionsMax: 1000,
  connectionsMax: 1000,
  mailboxDepthMax: 100,
  pendingMax: 1000,
  queuedMessagesMax: 10,
  partialTextBytesMax: 1_048_576,
  outgoingBytesMax: 1_048_576,
  outgoingBytesCloseMax: 4_194_304,
  subscriptionsMax: 100,
  shortMs: 30_000,
  longMs: 1_800_000,
  dependencyMs: 30_000,
  drainMs: 30_000,
  heartbeatIntervalMs: 30_000,
  heartbeatTimeoutMs: 10_000,
  idempotencyEntriesMax: 10_000,
  idempotencyCacheBytesMax: 1_048_576,
  lease: { baseMs: 24 * 3_600_000, extensionMs: 6 * 3_600_000, extensionsMax: 4, thresholdMs: 3_600_000 },
  requeue: true,
  auditReads: false,
  attemptsMax: 3,
  snapshotEvery: 256,
  checkpointEvery: 50_000,
  passivationIdleMs: 300_000,
};

export interface WorldOptions {
  readonly limits?: Partial<Limits>;
  readonly engines?: readonly Engine[];
  /** Beside those of the catalog. */
  readonly commands?: readonly Command[];
  readonly journal?: Journal;
  readonly store?: ReturnType<typeof createMemoryStore>;
  readonly clock?: ReturnType<typeof createSimulatedClock>;
  readonly restartTransports?: () => Promise<void>;
  readonly redaction?: RedactionRules;
  readonly upkeep?: UpkeepOptions;
}

/** A client that remembers what it was sent. */
export class Client implements Outlet {
  readonly frames: Frame[] = [];
  readonly texts: string[] = [];
  bufferedBytes = 0;
  readonly #awaited: (() => void)[] = [];
  closedWith: { code: number; reason: string } | undefined;
  peer: Peer | undefined;

  write(text: string): void {
    this.texts.push(text);
    this.frames.push(JSON.parse(text) as Frame);
  }

  whenTaken(callback: () => void): void {
    this.#awaited.push(callback);
    queueMicrotask(() => this.#tellTaken());
  }

  /** It reads: all that waits, and whoever waited for that goes on. */
  read(): void {
    this.bufferedBytes = 0;
    this.#tellTaken();
  }

  #tellTaken(): void {
    if (this.bufferedBytes === 0) for (const callback of this.#awaited.splice(0)) callback();
  }

  close(code: number, reason: string): void {
    this.closedWith = { code, reason };
  }

  send(frame: unknown): void {
    this.raw(JSON.stringify(frame));
  }

  raw(text: string): void {
    this.peer?.receive(Buffer.from(text));
  }

  leave(): void {
    this.peer?.closed();
  }

  /** The response to the command with this id, the newest if there are several. */
  response(id: string): Frame | undefined {
    return this.frames.findLast((frame) => frame.type === 'response' && frame['id'] === id);
  }

  responses(): Frame[] {
    return this.frames.filter((frame) => frame.type === 'response');
  }

  of(type: string): Frame[] {
    return this.frames.filter((frame) => frame.type === type);
  }

  /** Types of the session events that it saw, in order. */
  events(): string[] {
    return this.of('event').map((frame) => String(frame['event'].type));
  }
}

export function createWorld(options: WorldOptions = {}) {
  const clock = options.clock ?? createSimulatedClock();
  const store = options.store ?? createMemoryStore();
  const journal = createHeldJournal(options.journal ?? createMemoryJournal({ store }));
  journal.pass();
  const registry = createRegistry([...catalog, ...(options.commands ?? [])]);
  const engines = options.engines ?? [createEchoEngine(), createScriptedEngine()];
  const observations: unknown[] = [];
  const fatal: Error[] = [];
  let drawn = 0;
  const system: System = createSystem(
    {
      clock,
      ids: {
        epoch: () => `epoch-${(drawn += 1)}-${Math.random().toString(36).slice(2)}`,
        sessionId: () => `session-${(drawn += 1)}`,
      },
      journal,
      engines,
      frames,
      intake: createIntake({ registry, frameBytesMax: 1_048_576 }),
      telemetry: { enabled: () => true, observe: (observation) => void observations.push(observation) },
      redaction: options.redaction === undefined ? undefined : createRedaction(options.redaction),
      fingerprint,
      greeting: createGreeting({
        transports: ['test'],
        commands: catalog.map(({ type }) => type),
        engines: engines.map(({ kind }) => kind),
        limits: { frameBytesMax: 1_048_576, pendingMax: 1000, mailboxDepthMax: 100 },
      }),
      announcement: recoveryAnnouncement,
    },
    {
      serverVersion: '0.0.0-test',
      defaultEngine: engines[0]!.kind,
      limits: { ...limits, ...options.limits },
      onFatal: (error) => void fatal.push(error),
      ...(options.upkeep !== undefined && { upkeep: options.upkeep }),
      ...(options.restartTransports !== undefined && { restartTransports: options.restartTransports }),
    },
  );

  /** Lets everything happen that can happen without time passing. */
  const settle = async (): Promise<void> => {
    for (let round = 0; round < 50; round += 1) {
      clock.flush();
      await Promise.resolve();
    }
  };

  const connect = (principal = LOCAL): Client => {
    const client = new Client();
    client.peer = system.connect(client, principal, 'test');
    return client;
  };

  /** As many rounds as it takes: how many a boot needs depends on what there is to read. */
  const until = async <Value>(promise: Promise<Value>): Promise<Value> => {
    const state = { isOver: false };
    const over = (): void => void (state.isOver = true);
    promise.then(over, over);
    for (let round = 0; round < 1_000 && !state.isOver; round += 1) await settle();
    return promise;
  };

  const start = () => until(system.start());

  /** Stops in order. */
  const stop = async (): Promise<void> => {
    await until(system.drain());
  };

  const advance = async (ms: number): Promise<void> => {
    await settle();
    await clock.advanceAsync(ms);
    await settle();
  };

  return { clock, store, journal, system, observations, fatal, settle, connect, start, stop, advance };
}

export type World = ReturnType<typeof createWorld>;
