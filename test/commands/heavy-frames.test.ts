/** Frames that would take long to parse are refused without that, and everything else is parsed as ever. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { catalog } from '../../src/commands/catalog.ts';
import { createIntake } from '../../src/commands/intake.ts';
import { LIGHT_BYTES_MAX, outlineOf, VALUES_MAX } from '../../src/commands/outline.ts';
import { createRegistry } from '../../src/commands/registry.ts';

const MIB = 1024 * 1024;
const intake = createIntake({ registry: createRegistry(catalog), frameBytesMax: 10 * MIB });
const parse = (text: string) => intake.parse(Buffer.from(text), { id: 'p', scopes: ['observe', 'drive'] });
const pad = 'x'.repeat(LIGHT_BYTES_MAX);
const deep = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);

function refusedAs(text: string): unknown[] {
  const parsed = parse(text);
  if (!('refusal' in parsed)) return ['taken'];
  const { refusal, commandType, ...rest } = parsed;
  return [refusal.errorCode, refusal.error, commandType, 'id' in rest ? rest.id : 'no id'];
}

const TOO_DEEP = 'Validation failed: root: Nested too deeply (max 64 levels)';
const TOO_MANY = `Validation failed: root: Too many values (max ${VALUES_MAX})`;

describe('a large frame', () => {
  it.each([
    ['deep', `{"type":"ping","id":"a","x":${deep(3 * MIB)}}`, TOO_DEEP],
    ['deep in its first field', `{"x":${deep(3 * MIB)},"type":"ping","id":"a"}`, TOO_DEEP],
    ['deep with brackets in its texts', `{"y":"]}\\"]","type":"ping","x":${deep(2 * MIB)},"id":"a"}`, TOO_DEEP],
    ['wide of arrays', `{"type":"ping","x":[${'[],'.repeat(MIB)}[]],"id":"a"}`, TOO_MANY],
    ['wide of objects', `{"type":"ping","id":"a","x":[${'{},'.repeat(MIB)}{}]}`, TOO_MANY],
    ['wide of numbers', `{"type":"ping","id":"a","x":[${'1,'.repeat(MIB)}1]}`, TOO_MANY],
    ['wide and half deep', `{"type":"ping","id":"a","x":[${`${deep(60)},`.repeat(5_000)}1]}`, TOO_MANY],
  ])('that is %s is refused with its id', (_, text, error) => {
    expect(refusedAs(text)).toEqual(['VALIDATION_FAILED', error, 'ping', 'a']);
  });

  it('whose id or type is what is deep is refused without it', () => {
    expect(refusedAs(`{"type":"ping","id":${deep(MIB)}}`)).toEqual(['VALIDATION_FAILED', TOO_DEEP, 'ping', 'no id']);
    expect(refusedAs(`{"type":${deep(MIB)},"id":1}`)).toEqual(['VALIDATION_FAILED', TOO_DEEP, 'unknown', 1]);
  });

  it('of nothing but fields is refused unread', () => {
    const many = '"a":1,'.repeat(MIB);
    expect(refusedAs(`{${many}"id":"a"}`)).toEqual(['VALIDATION_FAILED', TOO_MANY, 'unknown', 'no id']);
    expect(refusedAs(`[${'1,'.repeat(MIB)}1]`)[0]).toBe('INVALID_FRAME');
  });

  it.each(['['.repeat(9 * MIB), '{"a":'.repeat(MIB), ']'.repeat(MIB) + '['.repeat(MIB), `"${'['.repeat(MIB)}`])(
    'that is no JSON is no JSON, however deep',
    (text) => expect(refusedAs(text).slice(0, 1)).toEqual(['INVALID_JSON']),
  );

  it('that is an array is no frame, however deep', () => {
    expect(refusedAs(deep(MIB))[0]).toBe('INVALID_FRAME');
  });

  it('of long texts is taken, whatever is in them', () => {
    const text = JSON.stringify({ type: 'ping', id: 'a', x: `${'[{,"\\'.repeat(MIB)}` });
    expect(refusedAs(text)).toEqual(['taken']);
  });

  it('is taken at the limits: 64 levels, and as many values as may be', () => {
    expect(refusedAs(`{"type":"ping","id":"a","pad":"${pad}","x":${deep(63)}}`)).toEqual(['taken']);
    // Three commas of its own and two brackets.
    const values = '1,'.repeat(VALUES_MAX - 5);
    expect(refusedAs(`{"type":"ping","id":"a","pad":"${pad}","x":[${values}1]}`)).toEqual(['taken']);
    expect(refusedAs(`{"type":"ping","id":"a","pad":"${pad}","x":[1,${values}1]}`)[1]).toBe(TOO_MANY);
  });

  it('has an outline exactly if it is too deep, whatever it holds', () => {
    const depthOf = (value: unknown): number =>
      typeof value !== 'object' || value === null ? 0 : 1 + Math.max(0, ...Object.values(value).map(depthOf));
    const property = fc.property(fc.json({ depthSize: 'large' }), fc.integer({ min: 0, max: 70 }), (json, levels) => {
      const text = `{"pad":"${pad}","x":${'['.repeat(levels)}${json}${']'.repeat(levels)},"id":"a"}`;
      const outline = outlineOf(Buffer.from(text));
      expect(outline !== undefined).toBe(depthOf(JSON.parse(text)) > 64);
      if (outline !== undefined) expect(JSON.parse(outline.text)).toEqual({ pad, x: null, id: 'a' });
    });
    fc.assert(property, { numRuns: 100 });
  });
});
