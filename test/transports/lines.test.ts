import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { Lines } from '../../src/transports/lines.ts';

function framesOf(chunks: readonly Buffer[], bytesMax = 1000): string[] {
  const lines = new Lines(bytesMax);
  const frames: string[] = [];
  for (const chunk of chunks) {
    lines.push(chunk);
    for (let line = lines.next(); line !== undefined; line = lines.next()) frames.push(line.toString());
  }
  const last = lines.end();
  return last === undefined ? frames : [...frames, last.toString()];
}

/** The same bytes, cut at these places. */
function cut(bytes: Buffer, places: readonly number[]): Buffer[] {
  const ends = [...new Set(places.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  return [0, ...ends].map((start, index) => bytes.subarray(start, ends[index] ?? bytes.length));
}

describe('lines', () => {
  it('end at LF and at nothing else that ends lines for people', () => {
    const text = '{"a":"\u2028\u2029\u0085\v\f\r"}';
    expect(framesOf([Buffer.from(`${text}\nb\n`)])).toEqual([text, 'b']);
  });

  it('that are empty, with or without a CR, are none', () => {
    expect(framesOf([Buffer.from('\n\na\n\r\n\nb\n\n')])).toEqual(['a', 'b']);
    expect(framesOf([Buffer.from('\r')])).toEqual([]);
    expect(framesOf([])).toEqual([]);
  });

  it('keep a CR before the LF, which JSON takes for white space', () => {
    expect(framesOf([Buffer.from('{}\r\n')])).toEqual(['{}\r']);
  });

  it('count at the end of the stream without an LF as well', () => {
    expect(framesOf([Buffer.from('a\nb')])).toEqual(['a', 'b']);
  });

  it('are the same wherever the bytes were cut, inside of a character too', () => {
    const line = fc.string({ unit: fc.constantFrom('a', 'ä', '€', '😀', '\u2028', '\r', '{', '"'), minLength: 1 });
    fc.assert(
      fc.property(fc.array(line), fc.array(fc.nat(10_000)), fc.boolean(), (texts, places, ended) => {
        const bytes = Buffer.from(texts.join('\n') + (ended ? '\n' : ''));
        expect(framesOf(cut(bytes, places))).toEqual(texts.filter((text) => text !== '\r'));
      }),
    );
  });

  it('that are too long are cut one byte past the limit, and what follows is intact, wherever the bytes were cut', () => {
    fc.assert(
      fc.property(fc.array(fc.integer({ min: 1, max: 30 })), fc.array(fc.nat(1000)), (lengths, places) => {
        const bytes = Buffer.from(lengths.map((length) => `${'x'.repeat(length)}\n`).join(''));
        const expected = lengths.map((length) => Math.min(length, 11));
        expect(framesOf(cut(bytes, places), 10).map(({ length }) => length)).toEqual(expected);
      }),
    );
  });

  it('that are too long are told as soon as that is known, and the rest is not kept', () => {
    const lines = new Lines(1000);
    lines.push(Buffer.alloc(1000, 'x'));
    expect(lines.next()).toBeUndefined();
    lines.push(Buffer.from('x'));
    expect(lines.next()).toHaveLength(1001);
    for (let count = 0; count < 1000; count += 1) {
      lines.push(Buffer.alloc(1000, 'x'));
      expect([lines.next(), lines.heldBytes]).toEqual([undefined, 0]);
    }
    lines.push(Buffer.from('x\nb\n'));
    expect(lines.next()?.toString()).toBe('b');
    expect(lines.end()).toBeUndefined();
  });

  it('that come byte by byte are held in one buffer not much larger than they are', () => {
    const lines = new Lines(1_000_000);
    for (let count = 0; count < 20_000; count += 1) {
      lines.push(Buffer.from('x'));
      expect(lines.next()).toBeUndefined();
    }
    expect(lines.heldBytes).toBeLessThanOrEqual(40_000);
    lines.push(Buffer.from('\n'));
    expect(lines.next()).toHaveLength(20_000);
    expect(lines.heldBytes).toBe(0);
  });

  it('are not lost when bytes come before the last ones were looked at', () => {
    const lines = new Lines(1000);
    lines.push(Buffer.from('a\nb'));
    expect(lines.next()?.toString()).toBe('a');
    lines.push(Buffer.from('c\nd\n'));
    expect([lines.next()?.toString(), lines.next()?.toString(), lines.next()]).toEqual(['bc', 'd', undefined]);
  });

  it('that are given out stay what they were', () => {
    const lines = new Lines(1000);
    const frames: (Buffer | undefined)[] = [];
    for (const text of ['a', 'b\n', 'c', 'd\n']) {
      lines.push(Buffer.from(text));
      frames.push(lines.next());
    }
    expect(frames.map((frame) => frame?.toString())).toEqual([undefined, 'ab', undefined, 'cd']);
  });
});
