import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Principal } from '../../actors/message.ts';
import type { ParsedCommand, RefusedFrame } from '../../actors/ports.ts';
import { catalog } from '../../src/commands/catalog.ts';
import { createIntake } from '../../src/commands/intake.ts';
import { createRegistry } from '../../src/commands/registry.ts';
import { isErrorCode } from '../../src/protocol/errors.ts';
import { frames } from '../../src/protocol/frames.ts';
import { responseFrame } from '../../src/protocol/outgoing.ts';

const frameBytesMax = 10_000;
const registry = createRegistry(catalog);
const intake = createIntake({ registry, frameBytesMax });
const everything: Principal = { id: 'p', scopes: ['observe', 'drive', 'approve', 'exec', 'operate'] };
const encoder = new TextEncoder();

function take(text: string, principal = everything): ParsedCommand | RefusedFrame {
  return intake.parse(encoder.encode(text), principal);
}

function refused(text: string, principal?: Principal): RefusedFrame {
  const result = take(text, principal);
  if (!('refusal' in result)) throw new Error(`The frame was taken: ${text}`);
  return result;
}

function taken(text: string): ParsedCommand {
  const result = take(text);
  if ('refusal' in result) throw new Error(`The frame was refused: ${result.refusal.error}`);
  return result;
}

/** Objects around a value, `levels` of them. */
const nested = (levels: number, field = 'a'): string => `{"${field}":`.repeat(levels) + '1' + '}'.repeat(levels);

describe('intake refuses', () => {
  it('a frame that is one byte too large, and takes one of exactly the limit', () => {
    const head = '{"type":"ping","pad":"';
    const pad = frameBytesMax - head.length - 2;
    expect(taken(`${head}${'x'.repeat(pad)}"}`).contract.type).toBe('ping');
    expect(refused(`${head}${'x'.repeat(pad + 1)}"}`)).toEqual({
      refusal: { success: false, errorCode: 'FRAME_TOO_LARGE', error: 'Message size 10001 exceeds limit 10000' },
      commandType: 'unknown',
    });
  });

  it('by bytes, not by characters', () => {
    const text = JSON.stringify({ type: 'ping', pad: 'ü'.repeat(frameBytesMax / 2) });
    expect(text.length).toBeLessThan(frameBytesMax);
    expect(refused(text).refusal.errorCode).toBe('FRAME_TOO_LARGE');
  });

  it.each([
    '{"type":"secret"',
    '{secret: 1}',
    'secret',
    '{"type":"ping"} secret',
    '{"a":"secret\u0001"}',
    'secret in JSON at position 5',
    '',
    '\ufeff{"type":"ping"}',
  ])('%j, which is no JSON, without quoting it', (text) => {
    const { refusal, ...rest } = refused(text);
    expect(refusal.errorCode).toBe('INVALID_JSON');
    expect(refusal.error).toMatch(/^Invalid JSON( at position \d+)?$/);
    expect(refusal.error).not.toMatch(/ 5$/);
    expect(rest).toEqual({ commandType: 'unknown' });
  });

  it('bad JSON with the position where it breaks off', () => {
    expect(refused('{"a":1,}').refusal.error).toBe('Invalid JSON at position 7');
  });

  it.each([
    ['a lone continuation byte', [0x22, 0x80, 0x22]],
    ['an overlong form', [0x22, 0xc0, 0xaf, 0x22]],
    ['an encoded surrogate', [0x22, 0xed, 0xa0, 0x80, 0x22]],
    ['a character cut short', [0x22, 0xe2, 0x82]],
  ])('bytes that are no UTF-8: %s', (_what, bytes) => {
    expect(intake.parse(Uint8Array.from(bytes), everything)).toEqual({
      refusal: { success: false, errorCode: 'INVALID_JSON', error: 'Invalid JSON: not valid UTF-8' },
      commandType: 'unknown',
    });
  });

  it.each(['null', '5', '"text"', 'true', '[]', '[{"type":"ping","id":"x"}]'])('%s, which is no object', (text) => {
    expect(refused(text)).toEqual({
      refusal: {
        success: false,
        errorCode: 'INVALID_FRAME',
        error: 'Validation failed: root: Command must be an object',
        details: [{ path: '', code: 'invalid', message: 'Command must be an object' }],
      },
      commandType: 'unknown',
    });
  });

  it.each([
    ['{}', 'required'],
    ['{"type":""}', 'invalid'],
    ['{"type":null}', 'invalid'],
    ['{"type":["ping"]}', 'invalid'],
  ])('%s, which has no type', (text, code) => {
    expect(refused(text)).toEqual({
      refusal: {
        success: false,
        errorCode: 'VALIDATION_FAILED',
        error: "Validation failed: type: Command must have a string 'type' field",
        details: [{ path: 'type', code, message: "Command must have a string 'type' field" }],
      },
      commandType: 'unknown',
    });
  });

  it.each(['nope', 'constructor', '__proto__', 'toString', 'hasOwnProperty', 'PING', 'ping '])(
    'the type %j, which nobody knows',
    (type) => {
      const { refusal, commandType, id } = refused(JSON.stringify({ type, id: 'i' }));
      expect(refusal.errorCode).toBe('UNKNOWN_COMMAND');
      expect(refusal.error).toBe(`Validation failed: type: Unknown command type '${type}'`);
      expect({ commandType, id }).toEqual({ commandType: type, id: 'i' });
    },
  );

  it('an unknown type without repeating all of a long one', () => {
    const { refusal, commandType } = refused(JSON.stringify({ type: 'x'.repeat(5000) }));
    expect(refusal.error.length).toBeLessThan(400);
    expect(commandType).toHaveLength(5000);
  });

  it('what is nested deeper than 64 levels, and takes 64', () => {
    const inside = (levels: number): string => `{"type":"ping","id":"i","x":${nested(levels)}}`;
    expect(taken(inside(63)).contract.type).toBe('ping');
    expect(refused(inside(64))).toEqual({
      refusal: {
        success: false,
        errorCode: 'VALIDATION_FAILED',
        error: 'Validation failed: root: Nested too deeply (max 64 levels)',
        details: [{ path: '', code: 'too_deep', message: 'Nested too deeply (max 64 levels)' }],
      },
      commandType: 'ping',
      id: 'i',
    });
  });

  it('deep nesting in lists, in an id and beside brackets in text', () => {
    const list = (levels: number): string => '['.repeat(levels) + ']'.repeat(levels);
    expect(refused(`{"type":"ping","x":${list(64)}}`).refusal.error).toContain('Nested too deeply');
    expect(taken(`{"type":"ping","x":${list(63)},"text":"${'['.repeat(500)}"}`).contract.type).toBe('ping');
    const { refusal, ...rest } = refused(`{"type":"ping","id":${list(2000)}}`);
    expect(refusal.error).toContain('Nested too deeply');
    expect(rest).toEqual({ commandType: 'ping' });
  });

  it('nesting of a million levels in a frame that is allowed to be so large', () => {
    const large = createIntake({ registry, frameBytesMax: 10_485_760 });
    const levels = 1_000_000;
    const deep = `{"type":"ping","x":${'['.repeat(levels)}${']'.repeat(levels)}}`;
    const result = large.parse(encoder.encode(deep), everything);
    expect('refusal' in result && result.refusal.errorCode).toBe('VALIDATION_FAILED');
  });

  it.each([[7], [''], [' '], [null], [{ a: [1] }], [['x']], [true], ['anon:1:1'], ['x'.repeat(257)]])(
    'the id %j and echoes it exactly',
    (id) => {
      const { refusal, id: echoed } = refused(JSON.stringify({ type: 'ping', id }));
      expect(refusal.errorCode).toBe('VALIDATION_FAILED');
      expect(echoed).toEqual(id);
    },
  );

  it('a command for which the principal lacks the scope', () => {
    const viewer: Principal = { id: 'v', scopes: ['observe'] };
    const prompt = '{"type":"prompt","id":"i","sessionId":"s","message":"m"}';
    expect(refused(prompt, viewer)).toEqual({
      refusal: {
        success: false,
        errorCode: 'FORBIDDEN',
        error: "Command 'prompt' needs the scope 'drive'",
        details: { scope: 'drive' },
      },
      commandType: 'prompt',
      id: 'i',
    });
    expect('refusal' in take('{"type":"get_state","sessionId":"s"}', viewer)).toBe(false);
    expect('refusal' in take(prompt, { id: 'd', scopes: ['drive'] })).toBe(false);
  });

  it('an invalid command as invalid, before it asks about scopes', () => {
    expect(refused('{"type":"prompt"}', { id: 'v', scopes: [] }).refusal.errorCode).toBe('VALIDATION_FAILED');
  });

  it('a frame full of offences with a bounded list of them', () => {
    const dependsOn = new Array<number>(4000).fill(0);
    const { refusal } = refused(JSON.stringify({ type: 'ping', id: 'i', dependsOn }));
    expect(refusal.details).toHaveLength(33);
    expect(refusal.error.length).toBeLessThan(3000);
    expect(refusal.error).toContain('dependsOn: Too many dependencies (max 32); dependsOn[0]: Must be');
  });

  it('wrong values without repeating them', () => {
    const secret = 'hunter2';
    const wrong = {
      type: 'create_session',
      id: [secret],
      idempotencyKey: { secret },
      dependsOn: [[secret]],
      ifSessionVersion: secret,
      traceparent: [secret],
      sessionId: `${secret} ${secret}`,
      engine: [secret],
      name: [secret],
      cwd: secret,
      labels: { a: [secret] },
    };
    const { refusal } = refused(JSON.stringify(wrong));
    expect(refusal.details).toHaveLength(12);
    expect(JSON.stringify(refusal)).not.toContain(secret);
  });
});

describe('intake takes', () => {
  it('a command with its contract, the parsed object and the text as received', () => {
    const text = ' {"type":"get_state", "id":"i","sessionId":"s","dependsOn":["a"],"ifSessionVersion":0}\n';
    const { contract, frame, text: kept } = taken(text);
    expect(contract).toBe(registry.get('get_state'));
    expect(frame).toEqual(JSON.parse(text));
    expect(kept).toBe(text);
  });

  it('fields that it does not know', () => {
    expect(taken('{"type":"ping","zzz":{"a":1}}').frame['zzz']).toEqual({ a: 1 });
  });

  it('names of Object.prototype as fields, and they stay fields', () => {
    const { frame } = taken('{"type":"ping","__proto__":{"scopes":["x"]},"constructor":1,"toString":null}');
    expect(Object.getPrototypeOf(frame)).toBe(Object.prototype);
    expect(Object.keys(frame)).toEqual(['type', '__proto__', 'constructor', 'toString']);
    expect(frame['scopes']).toBeUndefined();
  });

  it('nothing that only __proto__ brings', () => {
    expect(refused('{"__proto__":{"type":"ping"}}').refusal.errorCode).toBe('VALIDATION_FAILED');
    expect(refused('{"type":"get_state","__proto__":{"sessionId":"s"}}').refusal.error).toContain('sessionId');
  });

  it('every command of the catalog in its plainest form', () => {
    const plain: Record<string, object> = {
      prompt: { message: 'm' },
      steer: { message: 'm' },
      follow_up: { message: 'm' },
      set_session_name: { name: 'n' },
      subscribe: { topics: ['lifecycle'] },
      unsubscribe: { topics: ['sessions'] },
    };
    for (const type of registry.types) {
      const frame = { type, sessionId: 's', ...plain[type] };
      expect(taken(JSON.stringify(frame)).contract.type).toBe(type);
    }
  });
});

describe('intake never throws and never hangs', () => {
  /** A refusal that can be written, with a known code; or a command of the registry. */
  function isAnswer(result: ParsedCommand | RefusedFrame): void {
    if (!('refusal' in result)) {
      expect(registry.get(result.frame.type)).toBe(result.contract);
      return;
    }
    expect(isErrorCode(result.refusal.errorCode)).toBe(true);
    const text = frames.response(result.commandType, result.id, result.refusal, undefined);
    responseFrame.parse(JSON.parse(text));
  }

  it('over bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => isAnswer(intake.parse(bytes, everything))),
      { numRuns: 2000 },
    );
  });

  it('over JSON', () => {
    fc.assert(
      fc.property(fc.json({ maxDepth: 8 }), (text) => isAnswer(take(text))),
      { numRuns: 1000 },
    );
  });

  it('over frames that are nearly right', () => {
    const value = fc.oneof(
      fc.jsonValue(),
      fc.constantFrom('s', 'anon:', ' ', -1, 1.5, [], {}, null, 'accepted', 'live'),
    );
    const names = ['id', 'sessionId', 'dependsOn', 'ifSessionVersion', 'idempotencyKey', 'traceparent', 'respond'];
    const own = ['message', 'images', 'name', 'topics', 'scope', 'after', 'deltas', 'role', 'cursor', 'limit', 'cwd'];
    const more = ['labels', 'engine', 'kind', 'input', 'ttl', '__proto__', 'constructor'];
    const frame = fc.tuple(
      fc.constantFrom(...registry.types),
      fc.dictionary(fc.constantFrom(...names, ...own, ...more), value, { maxKeys: 8 }),
    );
    let commands = 0;
    fc.assert(
      fc.property(frame, ([type, fields]) => {
        const result = take(JSON.stringify({ ...fields, type }));
        if (!('refusal' in result)) commands += 1;
        isAnswer(result);
      }),
      { numRuns: 2000 },
    );
    expect(commands).toBeGreaterThan(50);
  });

  it('over frames that were cut or damaged', () => {
    const good = encoder.encode(
      '{"type":"set_session_name","id":"c1","sessionId":"s","name":"größe","dependsOn":["c0"]}',
    );
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.integer({ min: 0, max: 255 }), fc.boolean(), (at, byte, cut) => {
        const bytes = cut ? good.slice(0, at) : good.with(at, byte);
        isAnswer(intake.parse(bytes, everything));
      }),
      { numRuns: 2000 },
    );
  });
});
