/** The index of known commands: bounded in entries and in bytes, oldest out first, what is in flight never. */
import { describe, expect, it } from 'vitest';
import type { Command } from '../../actors/command.ts';
import { Deduplication, isSettled } from '../../actors/deduplication.ts';
import type { SettledCommand } from '../../actors/deduplication.ts';
import { idKey, namesOf } from '../../actors/names.ts';

const names = (id: string, key?: string) => namesOf('p', id, key === undefined ? undefined : 'scope', key);
const inFlight = (id: string): Command => ({ commandId: id }) as Command;

function settled(id: string, options: { bytes?: number; offset?: number; key?: string } = {}) {
  const { bytes = 10, offset = 1, key } = options;
  return {
    settled: true,
    commandType: 'ping',
    success: true,
    offset,
    sessionVersion: undefined,
    runsAgain: false,
    kept: { names: names(id, key), text: '{}', outcome: { success: true }, bytes },
  } as SettledCommand & { readonly kept: NonNullable<SettledCommand['kept']> };
}

function index(entriesMax: number, cacheBytesMax = 1_000_000): Deduplication {
  return new Deduplication({ entriesMax, cacheBytesMax });
}

describe('the number of entries', () => {
  it('never passes its maximum with commands that are over, the oldest go first', () => {
    const known = index(10);
    for (let n = 0; n < 100; n += 1) {
      known.register(names(`c${n}`), inFlight(`c${n}`));
      known.settle(settled(`c${n}`));
      expect(known.size).toBeLessThanOrEqual(10);
    }
    for (let n = 0; n < 90; n += 1) expect(known.find(idKey('p', `c${n}`))).toBeUndefined();
    for (let n = 90; n < 100; n += 1) expect(known.find(idKey('p', `c${n}`))).toBeDefined();
  });

  it('may be passed by commands in flight alone, and falls back when they are over', () => {
    const known = index(10);
    for (let n = 0; n < 50; n += 1) known.register(names(`f${n}`), inFlight(`f${n}`));
    expect(known.size).toBe(50);
    for (let n = 0; n < 50; n += 1) known.settle(settled(`f${n}`));
    known.register(names('one more'), inFlight('one more'));
    expect(known.size).toBe(10);
  });

  it('keeps what is in flight however much comes and goes', () => {
    const known = index(10);
    const hanging = inFlight('hanging');
    known.register(names('hanging'), hanging);
    for (let n = 0; n < 1000; n += 1) {
      known.register(names(`c${n}`), inFlight(`c${n}`));
      known.settle(settled(`c${n}`));
    }
    expect(known.find(idKey('p', 'hanging'))).toBe(hanging);
    expect(known.size).toBe(10);
  });

  it('counts an id and a key as two, and forgets them one by one', () => {
    const known = index(2);
    known.register(names('a', 'k'), inFlight('a'));
    known.settle(settled('a', { key: 'k' }));
    known.register(names('b'), inFlight('b'));
    expect(known.size).toBe(2);
    expect(known.find(names('a', 'k').byId!)).toBeUndefined();
    expect(known.find(names('a', 'k').byKey!)).toBeDefined();
  });

  it('bounds what a boot brings back as well', () => {
    const known = index(5);
    for (let n = 0; n < 20; n += 1) known.restore(names(`c${n}`), { ...settled(`c${n}`), kept: undefined });
    expect(known.size).toBe(5);
    expect(known.find(idKey('p', 'c19'))).toBeDefined();
  });
});

describe('the bytes of kept outcomes', () => {
  it('never pass their maximum; the entry stays and says where the journal has the outcome', () => {
    const known = index(1000, 100);
    for (let n = 0; n < 50; n += 1) {
      known.settle(settled(`c${n}`, { bytes: 30, offset: n + 1 }));
      expect(known.cacheBytes).toBeLessThanOrEqual(100);
    }
    const first = known.find(idKey('p', 'c0'));
    expect(first !== undefined && isSettled(first) && first.kept).toBeUndefined();
    expect(first).toMatchObject({ offset: 1 });
    expect(known.find(idKey('p', 'c49'))).toMatchObject({ kept: { bytes: 30 } });
  });

  it('take a read with them, which is in no journal', () => {
    const known = index(1000, 100);
    known.settle(settled('read', { bytes: 60, offset: 0, key: 'k' }));
    known.settle(settled('later', { bytes: 60 }));
    expect(known.find(names('read', 'k').byId!)).toBeUndefined();
    expect(known.find(names('read', 'k').byKey!)).toBeUndefined();
  });

  it('do not take a newer command of the same name with an older one', () => {
    const known = index(1000, 100);
    known.settle(settled('again', { bytes: 60, offset: 0 }));
    const newer = inFlight('again');
    known.register(names('again'), newer);
    known.settle(settled('later', { bytes: 60 }));
    expect(known.find(idKey('p', 'again'))).toBe(newer);
  });

  it('hold nothing that is larger than all of them together', () => {
    const known = index(1000, 100);
    known.settle(settled('huge', { bytes: 1000, offset: 7 }));
    expect(known.cacheBytes).toBe(0);
    expect(known.find(idKey('p', 'huge'))).toMatchObject({ offset: 7, kept: undefined });
  });

  it('stay bounded over a long time', () => {
    const known = index(100, 1000);
    for (let n = 0; n < 20_000; n += 1) known.settle(settled(`c${n}`, { bytes: 10 }));
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
