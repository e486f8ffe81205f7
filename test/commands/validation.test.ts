/**
 * The texts of refused fields, by the base protocol's own words. A row is a frame and what its refusal says behind
 * `Validation failed: `.
 */
import { describe, expect, it } from 'vitest';
import { catalog } from '../../src/commands/catalog.ts';
import { createIntake } from '../../src/commands/intake.ts';
import { createRegistry } from '../../src/commands/registry.ts';

const registry = createRegistry(catalog);
const intake = createIntake({ registry, frameBytesMax: 1_000_000 });
const scopes = ['observe', 'drive'];

/** Undefined: the frame is taken. */
function textOf(frame: object): string | undefined {
  const result = intake.parse(new TextEncoder().encode(JSON.stringify(frame)), { id: 'p', scopes });
  return 'refusal' in result ? result.refusal.error.replace(/^Validation failed: /, '') : undefined;
}

function detailsOf(frame: object): unknown {
  const result = intake.parse(new TextEncoder().encode(JSON.stringify(frame)), { id: 'p', scopes });
  return 'refusal' in result ? result.refusal.details : undefined;
}

const chars = (count: number): string => 'x'.repeat(count);
const ping = { type: 'ping' };
const state = { type: 'get_state', sessionId: 's' };
const NEEDS_SESSION = "sessionId: Session commands must have a non-empty string 'sessionId'";
const TOPICS = 'Must be one of: lifecycle, sessions, metrics, alerts, inspection';

describe('the envelope', () => {
  it.each<[object, string | undefined]>([
    [{ ...ping, id: 5 }, 'id: Must be a non-empty string if provided'],
    [{ ...ping, id: null }, 'id: Must be a non-empty string if provided'],
    [{ ...ping, id: ' \t' }, 'id: Must be a non-empty string if provided'],
    [{ ...ping, id: '\u00a0\u2003' }, 'id: Must be a non-empty string if provided'],
    [{ ...ping, id: `\u00a0${'é'}` }, undefined],
    [{ ...ping, id: chars(256) }, undefined],
    [{ ...ping, id: chars(257) }, 'id: Too long (max 256 chars)'],
    [{ ...ping, id: '🎭'.repeat(129) }, 'id: Too long (max 256 chars)'],
    [{ ...ping, id: 'anon:x' }, "id: Cannot use reserved prefix 'anon:'"],
    [{ ...ping, id: 'Anon:x' }, undefined],
    [{ ...ping, idempotencyKey: '' }, 'idempotencyKey: Must be a non-empty string if provided'],
    [{ ...ping, idempotencyKey: chars(257) }, 'idempotencyKey: Too long (max 256 chars)'],
    [{ ...ping, idempotencyKey: 'anon:x' }, undefined],
    [{ ...ping, dependsOn: 'a' }, 'dependsOn: Must be an array of command IDs'],
    [{ ...ping, dependsOn: null }, 'dependsOn: Must be an array of command IDs'],
    [{ ...ping, dependsOn: { length: 1 } }, 'dependsOn: Must be an array of command IDs'],
    [{ ...ping, dependsOn: [] }, undefined],
    [{ ...ping, dependsOn: ['a'] }, 'id: Required when dependsOn is provided'],
    [{ ...ping, id: 'i', dependsOn: Array.from({ length: 32 }, (_, n) => `d${n}`) }, undefined],
    [
      { ...ping, id: 'i', dependsOn: Array.from({ length: 33 }, (_, n) => `d${n}`) },
      'dependsOn: Too many dependencies (max 32)',
    ],
    [{ ...ping, id: 'i', dependsOn: ['a', ' '] }, 'dependsOn[1]: Must be a non-empty command ID string'],
    [{ ...ping, id: 'i', dependsOn: ['a', chars(257)] }, 'dependsOn[1]: Too long (max 256 chars)'],
    [{ ...state, ifSessionVersion: 0 }, undefined],
    [{ ...state, ifSessionVersion: -1 }, 'ifSessionVersion: Must be a non-negative integer'],
    [{ ...state, ifSessionVersion: 1.5 }, 'ifSessionVersion: Must be a non-negative integer'],
    [{ ...state, ifSessionVersion: '1' }, 'ifSessionVersion: Must be a non-negative integer'],
    [{ ...ping, traceparent: 7 }, 'traceparent: Must be a string if provided'],
    [{ ...ping, traceparent: chars(257) }, 'traceparent: Too long (max 256 chars)'],
    [{ ...ping, traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01' }, undefined],
    [{ ...ping, respond: 'accepted' }, 'respond: Only supported for prompt'],
  ])('%j: %s', (frame, text) => {
    expect(textOf(frame)).toBe(text);
  });

  it.each([
    'ping',
    'list_sessions',
    'create_session',
    'switch_session',
    'attach_session',
    'detach_session',
    'subscribe',
  ])('of %s takes no ifSessionVersion', (type) => {
    const frame = { type, sessionId: 's', topics: ['lifecycle'], ifSessionVersion: 0 };
    expect(textOf(frame)).toBe('ifSessionVersion: Only supported for session-targeted commands');
    expect(textOf({ ...frame, ifSessionVersion: 'x' })).toBe(
      'ifSessionVersion: Must be a non-negative integer; ' +
        'ifSessionVersion: Only supported for session-targeted commands',
    );
  });

  it('of delete_session takes ifSessionVersion', () => {
    expect(textOf({ type: 'delete_session', sessionId: 's', ifSessionVersion: 4 })).toBeUndefined();
  });

  it('is told in full, in order, with a dotted path for each offence', () => {
    const frame = { type: 'prompt', id: 4, idempotencyKey: 5, dependsOn: ['a', 6], ifSessionVersion: 'v', message: '' };
    expect(textOf(frame)).toBe(
      'id: Must be a non-empty string if provided; idempotencyKey: Must be a non-empty string if provided; ' +
        'dependsOn[1]: Must be a non-empty command ID string; id: Required when dependsOn is provided; ' +
        `ifSessionVersion: Must be a non-negative integer; ${NEEDS_SESSION}; message: Required string`,
    );
    expect(detailsOf(frame)).toEqual([
      { path: 'id', code: 'invalid', message: 'Must be a non-empty string if provided' },
      { path: 'idempotencyKey', code: 'invalid', message: 'Must be a non-empty string if provided' },
      { path: 'dependsOn.1', code: 'invalid', message: 'Must be a non-empty command ID string' },
      { path: 'id', code: 'required', message: 'Required when dependsOn is provided' },
      { path: 'ifSessionVersion', code: 'invalid', message: 'Must be a non-negative integer' },
      { path: 'sessionId', code: 'required', message: NEEDS_SESSION.replace('sessionId: ', '') },
      { path: 'message', code: 'invalid', message: 'Required string' },
    ]);
  });

  it('of an unknown command is told as well', () => {
    expect(textOf({ type: 'nope', id: ' ', ifSessionVersion: 0.5 })).toBe(
      'id: Must be a non-empty string if provided; ifSessionVersion: Must be a non-negative integer; ' +
        "type: Unknown command type 'nope'",
    );
  });
});

describe('the session that a command is for', () => {
  const perSession = ['prompt', 'steer', 'follow_up', 'abort', 'get_state', 'get_messages', 'get_last_assistant_text'];

  it.each(perSession)('of %s', (type) => {
    const frame = { type, message: 'm' };
    for (const sessionId of [undefined, '', '  ', 5, null]) expect(textOf({ ...frame, sessionId })).toBe(NEEDS_SESSION);
    expect(textOf({ ...frame, sessionId: chars(257) })).toBe('sessionId: Too long (max 256 chars)');
    expect(textOf({ ...frame, sessionId: '\0server' })).toBe('sessionId: Must not contain control characters');
    expect(textOf({ ...frame, sessionId: 'no such session!' })).toBeUndefined();
  });

  it.each(['delete_session', 'switch_session', 'attach_session', 'detach_session'])('of %s', (type) => {
    for (const sessionId of [undefined, '', '  ', 5, null])
      expect(textOf({ type, sessionId })).toBe('sessionId: Required non-empty string');
    expect(textOf({ type, sessionId: 'a\nb' })).toBe('sessionId: Must not contain control characters');
    expect(textOf({ type, sessionId: 'a.b' })).toBeUndefined();
  });

  it.each<[unknown, string | undefined]>([
    [undefined, undefined],
    ['a.b_c-D9', undefined],
    [chars(256), undefined],
    ['', 'sessionId: Must be a non-empty string if provided'],
    [null, 'sessionId: Must be a non-empty string if provided'],
    [chars(257), 'sessionId: Session ID too long (max 256 characters)'],
    ['a b', 'sessionId: Session ID must contain only alphanumeric characters, underscores, dashes, and dots'],
    ['a\n', 'sessionId: Session ID must contain only alphanumeric characters, underscores, dashes, and dots'],
    ['ä', 'sessionId: Session ID must contain only alphanumeric characters, underscores, dashes, and dots'],
    ['.', "sessionId: Session ID must not be '.' or '..'"],
    ['..', "sessionId: Session ID must not be '.' or '..'"],
    ['...', undefined],
  ])('of create_session: %j', (sessionId, text) => {
    expect(textOf({ type: 'create_session', sessionId })).toBe(text);
  });
});

describe('the fields of', () => {
  const create = { type: 'create_session' };
  const name = { type: 'set_session_name', sessionId: 's' };
  const attach = { type: 'attach_session', sessionId: 's' };
  const subscribe = { type: 'subscribe' };
  const list = { type: 'list_sessions' };

  it.each<[object, string | undefined]>([
    [{ ...create, cwd: 5 }, 'cwd: Must be a string if provided'],
    [{ ...create, cwd: 'relative/path' }, 'cwd: CWD must be an absolute path'],
    [{ ...create, cwd: '~/work' }, 'cwd: CWD contains potentially dangerous path components'],
    [{ ...create, cwd: '/a\0b' }, 'cwd: CWD contains potentially dangerous path components'],
    [{ ...create, cwd: `/${chars(4096)}` }, 'cwd: CWD too long (max 4096 chars)'],
    [{ ...create, cwd: '/srv/work' }, undefined],
    [{ ...create, cwd: 'C:\\work' }, undefined],
    [{ ...create, engine: '' }, 'engine: Must be a non-empty string if provided'],
    [{ ...create, kind: 5 }, 'kind: Must be a non-empty string if provided'],
    [{ ...create, engine: chars(65) }, 'engine: Too long (max 64 chars)'],
    [{ ...create, name: 'a\u007fb' }, 'name: Must not contain control characters'],
    [{ ...create, labels: ['a'] }, 'labels: Must be an object of strings'],
    [{ ...create, labels: { a: 1 } }, 'labels: Must be an object of strings'],
    [{ ...create, labels: { a: chars(257) } }, 'labels: Names and values too long (max 256 chars)'],
    [
      { ...create, labels: Object.fromEntries(Array.from({ length: 65 }, (_, n) => [`l${n}`, ''])) },
      'labels: Too many labels (max 64)',
    ],
    [{ ...create, labels: { team: 'blue' }, input: { delayMs: 1 }, engine: 'echo', name: 'größe' }, undefined],
    [name, 'name: Required string'],
    [{ ...name, name: '' }, 'name: Required string'],
    [{ ...name, name: 5 }, 'name: Required string'],
    [{ ...name, name: chars(256) }, undefined],
    [{ ...name, name: chars(257) }, 'name: Too long (max 256 chars)'],
    [{ ...name, name: 'a\nb' }, 'name: Must not contain control characters'],
    [{ ...attach, after: 'live', role: 'driver', deltas: 'none' }, undefined],
    [{ ...attach, after: 'start' }, undefined],
    [{ ...attach, after: { epoch: 'e', seq: 0 } }, undefined],
    [{ ...attach, after: { epoch: 'e', seq: -1 } }, "after: Must be 'live', 'start' or {epoch, seq}"],
    [{ ...attach, after: 'end' }, "after: Must be 'live', 'start' or {epoch, seq}"],
    [{ ...attach, after: null }, "after: Must be 'live', 'start' or {epoch, seq}"],
    [{ ...attach, role: 'owner' }, 'role: Must be one of: observer, driver, approver'],
    [{ ...attach, deltas: 'half' }, 'deltas: Must be one of: full, compact, none'],
    [subscribe, 'topics: Must be a non-empty array of topics'],
    [{ ...subscribe, topics: [] }, 'topics: Must be a non-empty array of topics'],
    [{ ...subscribe, topics: 'lifecycle' }, 'topics: Must be a non-empty array of topics'],
    [{ ...subscribe, topics: ['lifecycle', 'x', 5] }, `topics[1]: ${TOPICS}; topics[2]: ${TOPICS}`],
    [{ ...subscribe, topics: new Array(17).fill('lifecycle') }, 'topics: Too many topics (max 16)'],
    [{ ...subscribe, topics: ['sessions'], scope: 'all' }, 'scope: Must be one of: own, visible'],
    [{ type: 'unsubscribe', topics: [null] }, `topics[0]: ${TOPICS}`],
    [{ ...list, limit: 1000 }, undefined],
    [{ ...list, limit: 1001 }, 'limit: Must be between 1 and 1000'],
    [{ ...list, limit: 0 }, 'limit: Must be between 1 and 1000'],
    [{ ...list, limit: 1.5 }, 'limit: Must be an integer if provided'],
    [{ ...list, limit: '5' }, 'limit: Must be an integer if provided'],
    [{ ...list, cursor: '17:a.b' }, undefined],
    [{ ...list, cursor: 'a.b' }, 'cursor: Must be a nextCursor of an earlier answer'],
    [{ ...list, cursor: 17 }, 'cursor: Must be a nextCursor of an earlier answer'],
  ])('%j: %s', (frame, text) => {
    expect(textOf(frame)).toBe(text);
  });

  it.each(['prompt', 'steer', 'follow_up'])('%s', (type) => {
    const frame = { type, sessionId: 's' };
    for (const message of [undefined, '', 5, null, ['a']])
      expect(textOf({ ...frame, message })).toBe('message: Required string');
    expect(textOf({ ...frame, message: chars(200_000) })).toBeUndefined();
    expect(textOf({ ...frame, message: chars(200_001) })).toBe('message: Too long (max 200000 chars)');
    expect(textOf({ ...frame, message: 'm', images: [{ type: 'image' }] })).toBeUndefined();
    expect(textOf({ ...frame, message: 'm', images: 'x' })).toBe('images: Must be an array if provided');
  });

  it('respond, of a prompt alone', () => {
    const prompt = { type: 'prompt', sessionId: 's', message: 'm' };
    expect(textOf({ ...prompt, respond: 'accepted' })).toBeUndefined();
    expect(textOf({ ...prompt, respond: 'finished' })).toBe("respond: Must be 'accepted' if provided");
    expect(textOf({ ...prompt, type: 'steer', respond: 'accepted' })).toBe('respond: Only supported for prompt');
  });
});
