import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { canonicalCommand } from '../../src/protocol/canonical.ts';

const same = (a: string, b: string): boolean => canonicalCommand(a) === canonicalCommand(b);

describe('canonical command', () => {
  it.each([
    ['the order of keys', '{"type":"a","x":{"b":1,"a":2}}', '{"x":{"a":2,"b":1},"type":"a"}'],
    ['white space', '{ "type" : "a" }', '{"type":"a"}'],
    ['how a character is written', '{"type":"\\u0061"}', '{"type":"a"}'],
    ['the id', '{"type":"a","id":"1"}', '{"type":"a","id":"2"}'],
    ['the idempotency key', '{"type":"a","idempotencyKey":"1"}', '{"type":"a"}'],
    ['traceparent', '{"type":"a","traceparent":"00-1"}', '{"type":"a"}'],
    ['respond', '{"type":"a","respond":"accepted"}', '{"type":"a"}'],
  ])('does not depend on %s', (_what, a, b) => {
    expect(same(a, b)).toBe(true);
  });

  it.each([
    ['the type', '{"type":"a"}', '{"type":"b"}'],
    ['fields that nobody knows', '{"type":"a","zzz":1}', '{"type":"a"}'],
    ['dependencies', '{"type":"a","dependsOn":["1"]}', '{"type":"a","dependsOn":["2"]}'],
    ['the expected version', '{"type":"a","ifSessionVersion":1}', '{"type":"a","ifSessionVersion":2}'],
    ['the order of a list', '{"type":"a","x":[1,2]}', '{"type":"a","x":[2,1]}'],
    ['an id below the envelope', '{"type":"a","x":{"id":1}}', '{"type":"a","x":{"id":2}}'],
    ['numbers and their text', '{"type":"a","x":1}', '{"type":"a","x":"1"}'],
    ['null and nothing', '{"type":"a","x":null}', '{"type":"a"}'],
    ['what is called __proto__', '{"type":"a","__proto__":{"x":1}}', '{"type":"a"}'],
  ])('depends on %s', (_what, a, b) => {
    expect(same(a, b)).toBe(false);
  });

  it('says what was sent, whatever it was', () => {
    fc.assert(
      fc.property(fc.dictionary(fc.string(), fc.jsonValue()), (command) => {
        const text = JSON.stringify(command);
        const {
          id: _1,
          idempotencyKey: _2,
          traceparent: _3,
          respond: _4,
          ...counted
        } = JSON.parse(text) as {
          [name: string]: unknown;
        };
        expect(JSON.parse(canonicalCommand(text))).toEqual(counted);
        expect(canonicalCommand(canonicalCommand(text))).toBe(canonicalCommand(text));
      }),
    );
  });
});
