import { describe, expect, it, vi } from 'vitest';
import type { Clock } from '../../actors/ports.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { startHeartbeat } from '../../src/transports/heartbeat.ts';

const options = { intervalMs: 30_000, timeoutMs: 10_000 };

function pulse(): { ping: () => void; progress: () => number; lost: () => void; bytes: number } {
  const state = { bytes: 0, ping: vi.fn<() => void>(), lost: vi.fn<() => void>(), progress: (): number => state.bytes };
  return state;
}

describe('a heartbeat', () => {
  it('asks at each interval after the answer', () => {
    const clock = createSimulatedClock();
    const peer = pulse();
    const heartbeat = startHeartbeat(clock, options, peer);
    clock.advance(29_999);
    expect(peer.ping).not.toHaveBeenCalled();
    for (let beat = 1; beat <= 5; beat += 1) {
      clock.advance(1);
      expect(peer.ping).toHaveBeenCalledTimes(beat);
      clock.advance(9_999);
      heartbeat.pong();
      clock.advance(29_999);
    }
    expect(peer.lost).not.toHaveBeenCalled();
  });

  it('gives up once when there is no answer in time, and forgives any other sign of life', () => {
    const clock = createSimulatedClock();
    const peer = pulse();
    startHeartbeat(clock, options, peer);
    clock.advance(30_000);
    peer.bytes += 1;
    clock.advance(10_000);
    expect(peer.lost).not.toHaveBeenCalled();
    clock.advance(9_999);
    expect(peer.lost).not.toHaveBeenCalled();
    clock.advance(1);
    expect(peer.lost).toHaveBeenCalledTimes(1);
    expect(clock.pendingTimers).toBe(0);
  });

  it('lets a process that was blocked read what came in meanwhile, before it judges', () => {
    const simulated = createSimulatedClock();
    const deferred: (() => void)[] = [];
    const clock: Clock = { ...simulated, defer: (callback) => deferred.push(callback) };
    const peer = pulse();
    const heartbeat = startHeartbeat(clock, options, peer);
    simulated.advance(40_000);
    heartbeat.pong();
    for (const callback of deferred) callback();
    expect(peer.lost).not.toHaveBeenCalled();
  });

  it('that was stopped says nothing more, also when its verdict was on the way', () => {
    const simulated = createSimulatedClock();
    const deferred: (() => void)[] = [];
    const clock: Clock = { ...simulated, defer: (callback) => deferred.push(callback) };
    const peer = pulse();
    const heartbeat = startHeartbeat(clock, options, peer);
    simulated.advance(40_000);
    heartbeat.stop();
    heartbeat.pong();
    for (const callback of deferred) callback();
    expect(peer.lost).not.toHaveBeenCalled();
    expect(simulated.pendingTimers).toBe(0);
  });
});
