import { describe, expect, it } from 'vitest';
import type { Observation } from '../../actors/ports.ts';
import { createBus } from '../../src/telemetry/bus.ts';

describe('the bus', () => {
  it('is enabled for exactly the levels that somebody listens to', () => {
    const bus = createBus();
    const levels = ['debug', 'info', 'warn', 'error'] as const;
    const enabled = (): boolean[] => levels.map((level) => bus.enabled(level));
    expect(enabled()).toEqual([false, false, false, false]);
    const endWarn = bus.subscribe('warn', () => undefined);
    expect(enabled()).toEqual([false, false, true, true]);
    const endInfo = bus.subscribe('info', () => undefined);
    expect(enabled()).toEqual([false, true, true, true]);
    endWarn();
    endWarn();
    expect(enabled()).toEqual([false, true, true, true]);
    endInfo();
    expect(enabled()).toEqual([false, false, false, false]);
  });

  it('hands each subscriber what it asked for, at once and in order', () => {
    const bus = createBus();
    const seen: string[] = [];
    bus.subscribe('debug', ({ message }) => seen.push(`all: ${message}`));
    const end = bus.subscribe('warn', ({ message }) => seen.push(`grave: ${message}`));
    bus.observe({ level: 'info', message: 'one' });
    bus.observe({ level: 'error', message: 'two' });
    end();
    bus.observe({ level: 'error', message: 'three' });
    expect(seen).toEqual(['all: one', 'all: two', 'grave: two', 'all: three']);
  });

  it('protects the runtime and the other subscribers from one that throws', () => {
    const bus = createBus();
    const seen: Observation[] = [];
    bus.subscribe('debug', () => {
      throw new Error('a bug in an exporter');
    });
    bus.subscribe('debug', (observation) => seen.push(observation));
    expect(() => bus.observe({ level: 'info', message: 'x' })).not.toThrow();
    expect(seen).toHaveLength(1);
  });
});
