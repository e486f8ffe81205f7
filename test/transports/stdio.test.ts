import { describe, expect, it, vi } from 'vitest';
import type { Outlet, Reception } from '../../actors/ports.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { createStdioPair, type StdioPair, type StdioPairOptions } from './stdio-pair.ts';

interface Scene extends StdioPair {
  /** Frames that reached the runtime. */
  readonly received: string[];
  readonly outlet: Outlet;
  readonly closed: () => number;
}

const answerLonger = (outlet: Outlet, text: string): void => outlet.write(text.padEnd(1000, '.'));

function start(options?: StdioPairOptions, onFrame: (outlet: Outlet, text: string) => void = answerLonger): Scene {
  const received: string[] = [];
  let closedCount = 0;
  let client: Outlet | undefined;
  const reception: Reception = {
    connect(outlet) {
      client = outlet;
      return {
        connectionId: 'c1',
        receive(bytes) {
          const text = Buffer.from(bytes).toString();
          received.push(text);
          onFrame(outlet, text);
        },
        ponged: () => undefined,
        closed: () => (closedCount += 1),
      };
    },
  };
  const pair = createStdioPair(reception, options);
  pair.transport.connect();
  pair.transport.read();
  return { ...pair, received, outlet: client!, closed: () => closedCount };
}

const eventually = (holds: () => void): Promise<void> => vi.waitFor(holds, { timeout: 10_000 });
/** Every I/O callback and every deferred one that is due has run. */
const settled = async (): Promise<void> => {
  for (let turn = 0; turn < 10; turn += 1) await new Promise((resolve) => setImmediate(resolve));
};

describe('a reader that stalls', () => {
  it('stops the reading of commands at the bound, in the middle of what came in at once', async () => {
    const scene = start({ outgoingBytesMax: 20_000 });
    scene.pause();
    const commands = Array.from({ length: 1000 }, (_, index) => String(index));
    scene.input.write(`${commands.join('\n')}\n`);
    await settled();
    // What two streams hold by themselves is taken, then the bound counts.
    const taken = scene.received.length;
    expect(taken).toBeLessThan(200);
    expect(scene.outlet.bufferedBytes).toBeGreaterThan(20_000);
    expect(scene.outlet.bufferedBytes).toBeLessThan(20_000 + 2 * 1001);
    await settled();
    expect(scene.received).toHaveLength(taken);

    scene.resume();
    await eventually(() => expect(scene.frames).toHaveLength(1000));
    expect(scene.received).toEqual(commands);
    expect(scene.frames.map((frame) => frame.replaceAll('.', ''))).toEqual(commands);
    expect(scene.outlet.bufferedBytes).toBe(0);
  });

  it('holds up the end of the input too: it is told when the last command was taken', async () => {
    const scene = start({ outgoingBytesMax: 20_000 });
    scene.pause();
    scene.input.end('x\n'.repeat(999) + 'last');
    await settled();
    expect([scene.ends, scene.received.length < 200]).toEqual([[], true]);
    scene.resume();
    await eventually(() => expect(scene.ends).toEqual(['input ended']));
    expect(scene.received).toHaveLength(1000);
    expect(scene.received.at(-1)).toBe('last');
  });

  it('lets reading go on when half of the bound is free, not before', async () => {
    const scene = start({ outgoingBytesMax: 200_000 }, () => undefined);
    const sizes: number[] = [];
    scene.pause();
    for (let count = 0; count < 400; count += 1) scene.outlet.write('x'.repeat(999));
    scene.send('held back');
    scene.output.on('data', () => {
      if (scene.received.length === 0) sizes.push(scene.outlet.bufferedBytes);
    });
    scene.resume();
    await eventually(() => expect(scene.received).toEqual(['held back']));
    expect(Math.min(...sizes)).toBeLessThanOrEqual(200_000);
    expect(Math.min(...sizes)).toBeGreaterThan(100_000 - 2 * 65_536);
  });

  it('to whom nothing was written stops nothing', async () => {
    const scene = start({ outgoingBytesMax: 1 }, () => undefined);
    scene.pause();
    for (let count = 0; count < 1000; count += 1) scene.send('x');
    await eventually(() => expect(scene.received).toHaveLength(1000));
  });

  it('with a bound below what the stream itself holds is no dead end', async () => {
    const scene = start({ outgoingBytesMax: 1 });
    for (let count = 0; count < 100; count += 1) scene.send('x');
    await eventually(() => expect(scene.frames).toHaveLength(100));
  });

  it('is waited for at the end as long as it takes something within ten seconds', async () => {
    const clock = createSimulatedClock();
    const scene = start({ clock });
    scene.pause();
    for (let count = 0; count < 1000; count += 1) scene.outlet.write('x'.repeat(999));
    await settled();
    const stop = vi.fn<() => void>();
    void scene.transport.stop().then(stop);
    for (let round = 0; round < 5; round += 1) {
      const before = scene.outlet.bufferedBytes;
      while (scene.outlet.bufferedBytes === before) {
        scene.output.read();
        await settled();
      }
      clock.advance(10_000);
      await settled();
      expect([round, stop.mock.calls.length]).toEqual([round, 0]);
    }
    scene.resume();
    await eventually(() => expect(stop).toHaveBeenCalledTimes(1));
    expect(scene.frames).toHaveLength(1000);
    expect([scene.closed(), clock.pendingTimers]).toEqual([1, 0]);
  });

  it('and takes nothing at all is left after ten seconds', async () => {
    const clock = createSimulatedClock();
    const scene = start({ clock });
    scene.pause();
    for (let count = 0; count < 1000; count += 1) scene.outlet.write('x'.repeat(999));
    await settled();
    const stop = vi.fn<() => void>();
    void scene.transport.stop().then(stop);
    clock.advance(9_999);
    await settled();
    expect([stop.mock.calls.length, scene.closed()]).toEqual([0, 0]);
    clock.advance(1);
    await eventually(() => expect(stop).toHaveBeenCalledTimes(1));
    expect([scene.closed(), scene.outlet.bufferedBytes, clock.pendingTimers]).toEqual([1, 0, 0]);
  });
});

describe('the end', () => {
  it('of the input is told once, and answers still go out until the transport stops', async () => {
    const scene = start({}, () => undefined);
    scene.input.end('a\nb');
    await eventually(() => expect(scene.ends).toEqual(['input ended']));
    expect([scene.received, scene.closed()]).toEqual([['a', 'b'], 0]);
    scene.outlet.write('answer');
    await scene.transport.stop();
    await eventually(() => expect(scene.frames).toEqual(['answer']));
    expect([scene.closed(), scene.ends]).toEqual([1, ['input ended']]);
  });

  it('of the input by a broken pipe is one all the same', async () => {
    const scene = start();
    scene.input.destroy(new Error('read ECONNRESET'));
    await eventually(() => expect(scene.ends).toEqual(['input ended']));
    const told = { level: 'info', message: 'stdin broken', error: 'read ECONNRESET' };
    expect(scene.observed).toEqual([told]);
  });

  it('of the input is the end also when somebody destroys it without a word', async () => {
    const scene = start();
    scene.input.destroy();
    await eventually(() => expect(scene.ends).toEqual(['input ended']));
  });

  it('of the output is a disconnect: nothing is read and nothing is kept any more', async () => {
    const scene = start();
    scene.pause();
    for (let count = 0; count < 1000; count += 1) scene.outlet.write('x'.repeat(999));
    scene.hangUp();
    await eventually(() => expect(scene.ends).toEqual(['output broken']));
    expect([scene.closed(), scene.outlet.bufferedBytes]).toEqual([1, 0]);
    scene.send('late');
    scene.outlet.write('late');
    await settled();
    expect([scene.received, scene.closed(), scene.outlet.bufferedBytes]).toEqual([[], 1, 0]);
    await scene.transport.stop();
    expect(scene.observed).toEqual([{ level: 'info', message: 'stdout broken', error: 'write EPIPE' }]);
  });

  it('of the output after the end of the input leaves nothing to wait for', async () => {
    const scene = start();
    scene.input.end();
    await eventually(() => expect(scene.ends).toEqual(['input ended']));
    scene.hangUp();
    await eventually(() => expect(scene.closed()).toBe(1));
    await scene.transport.stop();
    expect(scene.ends).toEqual(['input ended']);
  });

  it('of the output while the last answers are delivered ends the wait', async () => {
    const clock = createSimulatedClock();
    const scene = start({ clock });
    scene.pause();
    for (let count = 0; count < 1000; count += 1) scene.outlet.write('x'.repeat(999));
    const stopped = scene.transport.stop();
    scene.hangUp();
    await stopped;
    expect([scene.closed(), clock.pendingTimers]).toEqual([1, 0]);
  });

  it('of a client that took not even its answers is told with the reason', async () => {
    const scene = start();
    scene.outlet.close(1013, 'Too slow');
    await eventually(() => expect(scene.ends).toEqual(['closed']));
    expect(scene.observed).toEqual([{ level: 'warn', message: 'stdio closed', code: 1013, reason: 'Too slow' }]);
  });

  it('by a defect says that it was one', async () => {
    const scene = start({}, () => {
      throw new Error('a bug');
    });
    scene.send('x');
    await eventually(() => expect(scene.ends).toEqual(['defect']));
  });

  it('by a stop is nobody else to tell', async () => {
    const scene = start();
    await scene.transport.stop();
    scene.input.end('late\n');
    await settled();
    expect([scene.ends, scene.received, scene.closed()]).toEqual([[], [], 1]);
  });
});

describe('the pipe', () => {
  it('keeps what comes before the server is ready', async () => {
    const received: string[] = [];
    const pair = createStdioPair({
      connect: () => ({
        connectionId: 'c1',
        receive: (bytes) => received.push(Buffer.from(bytes).toString()),
        ponged: () => undefined,
        closed: () => undefined,
      }),
    });
    pair.transport.connect();
    pair.input.end('a\nb\n');
    await settled();
    expect(received).toEqual([]);
    pair.transport.read();
    await eventually(() => expect([received, pair.ends]).toEqual([['a', 'b'], ['input ended']]));
  });

  it('is not looked at by a transport that never got to work', async () => {
    const pair = createStdioPair({ connect: () => undefined });
    await pair.transport.stop();
    pair.transport.read();
    expect(pair.input.listenerCount('data')).toBe(0);
  });
});

describe('frames', () => {
  it('of one tick leave in one write', async () => {
    const scene = start();
    const write = vi.spyOn(scene.output, 'write');
    for (let count = 0; count < 100; count += 1) scene.outlet.write(String(count));
    await eventually(() => expect(scene.frames).toHaveLength(100));
    expect(write).toHaveBeenCalledTimes(1);
  });

  it('larger than one write arrive whole', async () => {
    const scene = start();
    const frame = 'ä€😀'.repeat(100_000);
    scene.outlet.write(frame);
    scene.outlet.write('after');
    await eventually(() => expect(scene.frames.length).toBe(2));
    expect(scene.frames).toEqual([frame, 'after']);
  });
});
