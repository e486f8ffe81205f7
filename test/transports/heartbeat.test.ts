/** The heartbeat of a connection, with its chart, under the host of the runtime and a clock that the test moves. */
import { describe, expect, it, vi } from 'vitest';
import { Heartbeat } from '../../actors/heartbeat.ts';
import { Host } from '../../actors/host.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { Client, createWorld } from '../support/world.ts';

const limits = { heartbeatIntervalMs: 30_000, heartbeatTimeoutMs: 10_000 };

/** A client that says nothing unless the test says it. */
function scene() {
  const clock = createSimulatedClock();
  const host = new Host(clock);
  const lost = vi.fn<() => void>();
  const pulse = {
    ping: vi.fn<() => void>(),
    progress: 0,
    /** What waits until everything is read. */
    unread: [] as (() => void)[],
    whenRead: vi.fn<(callback: () => void) => void>((callback) => callback()),
  };
  const heartbeat = new Heartbeat(host, 'c', limits, pulse, lost);
  const readLater = (): void => void pulse.whenRead.mockImplementation((callback) => pulse.unread.push(callback));
  return { clock, host, lost, pulse, heartbeat, readLater };
}

describe('a heartbeat', () => {
  it('asks at each interval after the answer', () => {
    const { clock, pulse, heartbeat, lost } = scene();
    clock.advance(29_999);
    expect(pulse.ping).not.toHaveBeenCalled();
    for (let beat = 1; beat <= 5; beat += 1) {
      clock.advance(1);
      expect(pulse.ping).toHaveBeenCalledTimes(beat);
      clock.advance(9_999);
      heartbeat.ponged();
      clock.advance(29_999);
    }
    expect(lost).not.toHaveBeenCalled();
  });

  it('gives up once when there is no answer in time, and forgives any other sign of life', () => {
    const { clock, pulse, lost } = scene();
    clock.advance(30_000);
    pulse.progress += 1;
    clock.advance(10_000);
    expect(lost).not.toHaveBeenCalled();
    clock.advance(9_999);
    expect(lost).not.toHaveBeenCalled();
    clock.advance(1);
    expect(lost).toHaveBeenCalledTimes(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('counts as a sign of life only what came after its ping', () => {
    const { clock, pulse, lost } = scene();
    clock.advance(29_999);
    pulse.progress += 1;
    clock.advance(10_001);
    expect(lost).toHaveBeenCalledTimes(1);
  });

  it('takes a pong that came late, behind other bytes, and rests as ever', () => {
    const { clock, pulse, heartbeat, lost } = scene();
    clock.advance(30_000);
    pulse.progress += 1;
    clock.advance(15_000);
    heartbeat.ponged();
    clock.advance(29_999);
    expect([pulse.ping.mock.calls.length, lost.mock.calls.length]).toEqual([1, 0]);
    clock.advance(1);
    expect(pulse.ping).toHaveBeenCalledTimes(2);
  });

  it('is not moved by a pong that nobody asked for', () => {
    const { clock, pulse, heartbeat } = scene();
    clock.advance(29_999);
    for (let count = 0; count < 1_000; count += 1) heartbeat.ponged();
    clock.advance(1);
    expect(pulse.ping).toHaveBeenCalledTimes(1);
  });

  it('lets a process that was blocked read what came in meanwhile, before it judges', () => {
    const { clock, pulse, heartbeat, lost, readLater } = scene();
    readLater();
    clock.advance(40_000);
    heartbeat.ponged();
    for (const callback of pulse.unread) callback();
    expect(lost).not.toHaveBeenCalled();
    clock.advance(30_000);
    expect(pulse.ping).toHaveBeenCalledTimes(2);
  });

  it('that was stopped says nothing more, also when its verdict was on the way, and leaves no actor and no timer', () => {
    const { clock, host, pulse, heartbeat, lost, readLater } = scene();
    readLater();
    clock.advance(40_000);
    heartbeat.stop();
    heartbeat.ponged();
    for (const callback of pulse.unread) callback();
    heartbeat.stop();
    expect(lost).not.toHaveBeenCalled();
    expect([clock.pendingTimers, host.rootCount]).toEqual([0, 0]);
  });
});

/** A client of a transport that can ping it, and that counts how often it did. */
class PingedClient extends Client {
  pings = 0;
  readonly pulse = {
    progress: 0,
    ping: (): void => void (this.pings += 1),
    whenRead: (callback: () => void): void => callback(),
  };
}

describe('a connection whose transport can ping', () => {
  const principal = { id: 'p', scopes: [] };

  it('has a heartbeat from the start, also before it is greeted, and is closed with 1001 when that is lost', async () => {
    const world = createWorld();
    const client = new PingedClient();
    const seen = new Set<string>();
    world.system.inspect(({ actorRef }) => seen.add((actorRef as unknown as { id: string }).id));
    client.peer = world.system.connect(client, principal, 'test');
    expect([...seen]).toEqual(expect.arrayContaining(['connection:1', 'heartbeat:1']));
    world.clock.advance(40_000);
    expect([client.pings, client.closedWith]).toEqual([1, { code: 1001, reason: 'Heartbeat timeout' }]);
    client.leave();
    await world.start();
    expect(world.clock.pendingTimers).toBe(0);
  });

  it('is kept as long as it answers, and leaves no actor behind', async () => {
    const world = createWorld();
    await world.start();
    const before = world.system.live;
    const client = new PingedClient();
    client.peer = world.system.connect(client, principal, 'test');
    expect(world.system.live.actors).toBe(before.actors + 2);
    for (let beat = 1; beat <= 3; beat += 1) {
      world.clock.advance(30_000);
      expect(client.pings).toBe(beat);
      client.peer!.ponged();
    }
    expect(client.closedWith).toBeUndefined();
    client.leave();
    expect(world.system.live).toEqual(before);
    expect(world.clock.pendingTimers).toBe(0);
  });

  it('has none any more once the server closes it: who is told to go is asked for nothing', async () => {
    const world = createWorld();
    await world.start();
    const client = new PingedClient();
    client.peer = world.system.connect(client, principal, 'test');
    await world.stop();
    expect(client.closedWith?.reason).toBe('Server shutting down');
    world.clock.advance(120_000);
    expect(client.pings).toBe(0);
  });

  it('has none where the transport cannot ping', async () => {
    const world = createWorld();
    await world.start();
    const before = world.system.live.actors;
    world.connect();
    expect(world.system.live.actors).toBe(before + 1);
  });
});
