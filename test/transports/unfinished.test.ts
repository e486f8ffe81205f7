import { describe, expect, it } from 'vitest';
import { Unfinished } from '../../src/transports/unfinished.ts';

describe('frames that have begun and not ended', () => {
  it('are counted over all senders until they end', () => {
    const unfinished = new Unfinished<string>(100);
    expect([unfinished.add('a', 40), unfinished.add('b', 30), unfinished.add('a', 30)]).toEqual([
      undefined,
      undefined,
      undefined,
    ]);
    expect(unfinished.bytes).toBe(100);
    unfinished.finish('a');
    expect(unfinished.bytes).toBe(30);
    unfinished.finish('a');
    unfinished.finish('nobody');
    expect(unfinished.bytes).toBe(30);
  });

  it('that are too much together cost the sender who began first', () => {
    const unfinished = new Unfinished<string>(100);
    unfinished.add('old', 1);
    unfinished.add('large', 90);
    expect(unfinished.add('new', 10)).toBe('old');
    unfinished.finish('old');
    expect(unfinished.add('new', 1)).toBe('large');
    unfinished.finish('large');
    expect([unfinished.add('new', 1), unfinished.bytes]).toEqual([undefined, 12]);
  });

  it('of one sender alone are bounded as well', () => {
    const unfinished = new Unfinished<string>(100);
    expect([unfinished.add('a', 100), unfinished.add('a', 1)]).toEqual([undefined, 'a']);
  });

  it('begin anew with each frame: who has finished one is young again', () => {
    const unfinished = new Unfinished<string>(100);
    unfinished.add('a', 50);
    unfinished.add('b', 50);
    unfinished.finish('a');
    unfinished.add('a', 50);
    expect(unfinished.add('c', 1)).toBe('b');
  });

  it('are none where pieces of control frames come to nothing', () => {
    const unfinished = new Unfinished<string>(100);
    for (let count = 0; count < 1_000; count += 1) {
      expect(unfinished.add('pinger', 3)).toBeUndefined();
      expect(unfinished.add('pinger', -3)).toBeUndefined();
    }
    unfinished.add('pinger', 3);
    unfinished.add('pinger', -5);
    expect(unfinished.bytes).toBe(0);
  });
});
