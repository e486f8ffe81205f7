/** The index of known commands: bounded in entries and in bytes, oldest out first, what is in flight never. */
import { describe, expect, it } from 'vitest';
import type { Command } from '../../actors/command.ts';
import { Deduplication } from '../../actors/deduplication.ts';
import type { Outcome } from '../../actors/message.ts';
import { idKey, namesOf } from '../../actors/names.ts';
import type { Settled } from '../../actors/settled-commands.ts';

const names = (id: string, key?: string) => namesOf('p', id, key === undefined ? undefined : 'scope', key);
const inFlight = (id: string): Command => ({ commandId: id }) as Command;
const facts = (offset: number): Settled => ({
  commandType: 'ping',
  success: true,
  offset,
  sessionVersion: undefined,
  runsAgain: false,
});

/** With how the outcome of one command is put in: `chars` is the length of its text. */
function index(entriesMax: number, cacheBytesMax = 1_000_000) {
  const known = new Deduplication({ entriesMax, cacheBytesMax });
  return Object.assign(known, {
    end(id: string, { chars = 2, offset = 1, key }: { chars?: number; offset?: number; key?: string } = {}) {
      known.settle(names(id, key), facts(offset), 'x'.repeat(chars), { success: true });
    },
  });
}

describe('the number of entries', () => {
  it('never passes its maximum with commands that are over, the oldest go first', () => {
    const known = index(10);
    for (let n = 0; n < 100; n += 1) {
      known.register(names(`c${n}`), inFlight(`c${n}`));
      known.end(`c${n}`);
      expect(known.size).toBeLessThanOrEqual(10);
    }
    for (let n = 0; n < 90; n += 1) expect(known.find(idKey('p', `c${n}`))).toBeUndefined();
    for (let n = 90; n < 100; n += 1) expect(known.find(idKey('p', `c${n}`))).toBeDefined();
  });

  it('may be passed by commands in flight alone, and falls back when they are over', () => {
    const known = index(10);
    for (let n = 0; n < 50; n += 1) known.register(names(`f${n}`), inFlight(`f${n}`));
    expect(known.size).toBe(50);
    for (let n = 0; n < 50; n += 1) known.end(`f${n}`);
    known.register(names('one more'), inFlight('one more'));
    expect(known.size).toBe(10);
  });

  it('keeps what is in flight however much comes and goes', () => {
    const known = index(10);
    const hanging = inFlight('hanging');
    known.register(names('hanging'), hanging);
    for (let n = 0; n < 1000; n += 1) {
      known.register(names(`c${n}`), inFlight(`c${n}`));
      known.end(`c${n}`);
    }
    expect(known.find(idKey('p', 'hanging'))).toBe(hanging);
    expect(known.size).toBe(10);
  });

  it('counts an id and a key as two, and forgets them one by one', () => {
    const known = index(2);
    known.register(names('a', 'k'), inFlight('a'));
    known.end('a', { key: 'k', offset: 7 });
    known.register(names('b'), inFlight('b'));
    known.end('b', { offset: 8 });
    expect(known.size).toBe(2);
    expect(known.find(names('a', 'k').byId!)).toBeUndefined();
    expect(known.find(names('a', 'k').byKey!)).toMatchObject({ offset: 7, kept: { outcome: { success: true } } });
    expect(known.find(names('b').byId!)).toMatchObject({ offset: 8 });
  });

  it('bounds what a boot brings back as well', () => {
    const known = index(5);
    for (let n = 0; n < 20; n += 1) known.restore(names(`c${n}`), facts(n + 1));
    expect(known.size).toBe(5);
    expect(known.find(idKey('p', 'c19'))).toMatchObject({ settled: true, offset: 20, kept: undefined });
  });
});

describe('what is known of a command that is over', () => {
  it('is what was said, under its id and under its key, however many came and went in between', () => {
    const known = index(100);
    const fact = (n: number): Settled => ({
      commandType: `type ${n % 7}`,
      success: n % 3 > 0,
      offset: n % 2 === 0 ? n + 1 : 2 ** 40 + n,
      sessionVersion: n % 5 === 0 ? undefined : n,
      runsAgain: n % 4 === 0,
    });
    const outcome = (n: number): Outcome =>
      n % 3 > 0
        ? { success: true, ...(n % 6 > 2 && { data: { n, text: 'läßt ✓' } }) }
        : { success: false, errorCode: 'E', error: `no ${n}`, details: { n }, timedOut: true };
    for (let n = 0; n < 10_000; n += 1) {
      known.register(names(`c${n}`, `k${n}`), inFlight(`c${n}`));
      known.settle(names(`c${n}`, `k${n}`), fact(n), `{"text":"👋 ${n}"}`, outcome(n));
      const before = n - (n % 40);
      const expected = { ...fact(before), kept: { text: `{"text":"👋 ${before}"}`, outcome: outcome(before) } };
      expect(known.find(names(`c${before}`).byId!)).toEqual({ settled: true, ...expected });
      expect(known.find(names('', `k${before}`).byKey!)).toEqual({ settled: true, ...expected });
    }
  });

  it('gives way to a newer command of the same name, and its row is free for others', () => {
    const known = index(1000);
    for (let n = 0; n < 10; n += 1) {
      const again = inFlight('again');
      known.register(names('again'), again);
      expect(known.find(idKey('p', 'again'))).toBe(again);
      known.end('again', { offset: 2 * n + 1 });
      known.end(`other ${n}`, { offset: 2 * n + 2 });
    }
    expect(known.find(idKey('p', 'again'))).toMatchObject({ offset: 19 });
    for (let n = 0; n < 10; n += 1) expect(known.find(idKey('p', `other ${n}`))).toMatchObject({ offset: 2 * n + 2 });
  });
});

describe('the bytes of kept outcomes', () => {
  it('never pass their maximum; the entry stays and says where the journal has the outcome', () => {
    const known = index(1000, 100);
    for (let n = 0; n < 50; n += 1) {
      known.end(`c${n}`, { chars: 16, offset: n + 1 });
      expect(known.cacheBytes).toBeLessThanOrEqual(100);
    }
    expect(known.find(idKey('p', 'c0'))).toMatchObject({ offset: 1, kept: undefined });
    expect(known.find(idKey('p', 'c46'))).toMatchObject({ offset: 47, kept: undefined });
    expect(known.find(idKey('p', 'c47'))).toMatchObject({ kept: { text: 'x'.repeat(16) } });
    expect(known.find(idKey('p', 'c49'))).toMatchObject({ kept: { text: 'x'.repeat(16) } });
  });

  it('take a read with them, which is in no journal', () => {
    const known = index(1000, 100);
    known.end('read', { chars: 60, offset: 0, key: 'k' });
    expect(known.find(names('read', 'k').byKey!)).toBeDefined();
    known.end('later', { chars: 60 });
    expect(known.find(names('read', 'k').byId!)).toBeUndefined();
    expect(known.find(names('read', 'k').byKey!)).toBeUndefined();
  });

  it('do not take a newer command of the same name with an older one', () => {
    const known = index(1000, 100);
    known.end('again', { chars: 60, offset: 0 });
    const newer = inFlight('again');
    known.register(names('again'), newer);
    known.end('later', { chars: 60 });
    expect(known.find(idKey('p', 'again'))).toBe(newer);
    known.end('again', { chars: 10, offset: 3 });
    expect(known.find(idKey('p', 'again'))).toMatchObject({ kept: { text: 'x'.repeat(10) } });
  });

  it('hold nothing that is larger than all of them together, and lose nothing to it', () => {
    const known = index(1000, 100);
    known.end('small', { chars: 20 });
    known.end('huge', { chars: 1000, offset: 7 });
    known.end('huge read', { chars: 1000, offset: 0 });
    expect(known.find(idKey('p', 'huge'))).toMatchObject({ offset: 7, kept: undefined });
    expect(known.find(idKey('p', 'huge read'))).toBeUndefined();
    expect(known.find(idKey('p', 'small'))).toMatchObject({ kept: { text: 'x'.repeat(20) } });
  });

  it('hold what is larger than a chunk beside what is not', () => {
    const known = index(1000, 4_000_000);
    for (let n = 0; n < 50; n += 1) known.end(`c${n}`, { chars: n % 5 === 0 ? 600_000 + n : 100_000 + n });
    expect(known.cacheBytes).toBeGreaterThan(3_000_000);
    expect(known.cacheBytes).toBeLessThanOrEqual(4_000_000);
    for (let n = 40; n < 50; n += 1) {
      const chars = n % 5 === 0 ? 600_000 + n : 100_000 + n;
      expect(known.find(idKey('p', `c${n}`))).toMatchObject({ kept: { text: 'x'.repeat(chars) } });
    }
    expect(known.find(idKey('p', 'c0'))).toMatchObject({ kept: undefined });
  });

  it('stay bounded over a long time', () => {
    const known = index(100, 1000);
    for (let n = 0; n < 20_000; n += 1) known.end(`c${n}`, { chars: 24 });
    expect(known.cacheBytes).toBe(1000);
  });
});

describe('a name', () => {
  it('belongs to its principal, and a key to its scope as well', () => {
    const all = [namesOf('p', 'a', 's', 'a'), namesOf('q', 'a', 's', 'a'), namesOf('p', 'a', 't', 'a')];
    expect(new Set(all.map(({ byId }) => byId)).size).toBe(2);
    expect(new Set(all.map(({ byKey }) => byKey)).size).toBe(3);
    expect(namesOf('p', undefined, undefined, 'k')).toEqual({ byId: undefined, byKey: undefined });
  });
});
