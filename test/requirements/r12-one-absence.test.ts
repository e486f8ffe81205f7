/**
 * R12: absence has one representation at each boundary, in and out.
 *
 * - Frames, both ways: the field is not there. `null` is never written for it, and refused in a command.
 * - `data` of an answer: as frames, but for the answers of which `null` is the answer itself; they are listed here.
 * - Journal: the field is not there, and comes back as it was written.
 * - State of a session and configuration: every field is there, and `null` says that it is empty; never `undefined`.
 * - Inside, `exactOptionalPropertyTypes` lets no field hold `undefined` where it may be missing.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import fc from 'fast-check';
import ts from 'typescript';
import { describe, expect, expectTypeOf, it } from 'vitest';
import { z } from 'zod';
import { catalog } from '../../src/commands/catalog.ts';
import { defaultConfig } from '../../src/config.ts';
import type { Config } from '../../src/config.ts';
import { decode, encode } from '../../src/journal/entry.ts';
import { frames } from '../../src/protocol/frames.ts';
import type { FrameCommand, FrameOutcome } from '../../src/protocol/frames.ts';
import { outgoingFrame } from '../../src/protocol/outgoing.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';
import { arbitraryDraft } from '../journal/arbitrary-entry.ts';
import { createWorld } from '../support/world.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What a session's data says for nothing. A snapshot shows it as it is, because it is to be compared with a fold. */
const NOTHING_IN_DATA = ['closed', 'cwd', 'input', 'labels', 'lease.extendedAt', 'model', 'name', 'resume'];
/** Of these commands the answer may be that there is none; and of no other. */
const NULL_ANSWERS: Readonly<Record<string, readonly string[]>> = {
  get_last_assistant_text: ['data.text'],
  get_session_snapshot: NOTHING_IN_DATA.map((field) => `data.context.${field}`),
};
/** Fields of commands that are not the server's to judge. */
const FOREIGN: readonly string[] = ['create_session.input'];

type Value = Record<string, unknown>;
type Schema = z.core.$ZodType;

/** Every shape that a frame can have: the objects that the unions choose from, with the way to each of their objects. */
function variantsOf(schema: Schema): z.ZodObject[] {
  if (schema instanceof z.ZodUnion) return schema.options.flatMap((option) => variantsOf(option));
  if (!(schema instanceof z.ZodObject)) throw new Error('A frame is an object.');
  const data: Schema | undefined = schema.shape['data'];
  if (!(data instanceof z.ZodUnion)) return [schema];
  return data.options.map((option) => schema.extend({ data: option as z.ZodObject }));
}

/** A value that fits, with every field that may be there. */
function sampleOf(schema: Schema): unknown {
  if (schema instanceof z.ZodOptional) return sampleOf(schema.def.innerType);
  if (schema instanceof z.ZodLiteral) return schema.value;
  if (schema instanceof z.ZodEnum) return schema.options[0];
  if (schema instanceof z.ZodUnion) return sampleOf(schema.options[0]!);
  if (schema instanceof z.ZodArray) return [];
  if (schema instanceof z.ZodNumber) return 1;
  if (schema instanceof z.ZodObject)
    return Object.fromEntries(Object.entries(schema.shape).map(([name, field]) => [name, sampleOf(field)]));
  return 'text';
}

interface Absence {
  readonly title: string;
  readonly variant: z.ZodObject;
  readonly path: readonly string[];
  readonly anything: boolean;
}

/** Every field of a frame, at any depth, that may be missing. */
function absencesOf(variant: z.ZodObject, at: z.ZodObject = variant, path: readonly string[] = []): Absence[] {
  return Object.entries(at.shape).flatMap(([name, field]: [string, Schema]) => {
    const here = [...path, name];
    if (field instanceof z.ZodObject) return absencesOf(variant, field, here);
    if (!(field instanceof z.ZodOptional)) return [];
    const { type, data = {} } = sampleOf(variant) as { type: string; data?: Value };
    const success = (sampleOf(variant) as Value)['success'] ?? data['success'];
    const title = `${type}${success === undefined ? '' : ` (${success ? 'success' : 'failure'})`}: ${here.join('.')}`;
    return [{ title, variant, path: here, anything: field.def.innerType instanceof z.ZodUnknown }];
  });
}

function withField(frame: unknown, [name, ...rest]: readonly string[], value: unknown): Value {
  const { [name!]: before, ...others } = frame as Value;
  if (rest.length > 0) return { ...others, [name!]: withField(before, rest, value) };
  return value === undefined ? others : { ...others, [name!]: value };
}

/** Dotted paths at which a value is null. */
function nullsIn(value: unknown, path: readonly string[] = []): string[] {
  if (value === null) return [path.join('.')];
  if (typeof value !== 'object') return [];
  return Object.entries(value as Value).flatMap(([name, field]) => nullsIn(field, [...path, name]));
}

const variants = variantsOf(outgoingFrame);
const absences = variants.flatMap((variant) => absencesOf(variant));

describe('R12: a frame of the server', () => {
  it('R12: is known here in every shape', () => {
    expect(new Set(variants.map((variant) => (sampleOf(variant) as { type: string }).type)).size).toBeGreaterThan(5);
    for (const variant of variants) expect(outgoingFrame.safeParse(sampleOf(variant)).error).toBeUndefined();
  });

  it.each(absences.map((absence) => [absence.title, absence] as const))(
    'R12: leaves out what it has not: %s',
    (_, { variant, path, anything }) => {
      const full = sampleOf(variant);
      expect(outgoingFrame.safeParse(withField(full, path, undefined)).success).toBe(true);
      // Where anything may stand, null is something: an id as it was sent, data that is null.
      expect(outgoingFrame.safeParse(withField(full, path, null)).success).toBe(anything);
    },
  );

  it('R12: is written without a word for what is absent, and reads back as what was written', () => {
    const some = <T>(value: T): fc.Arbitrary<T | undefined> => fc.constantFrom(value, undefined);
    const command: fc.Arbitrary<FrameCommand> = fc.record({
      commandId: fc.constant('c'),
      commandType: fc.constant('prompt'),
      sessionId: some('s'),
      dependsOn: some(['d']),
      ifSessionVersion: some(0),
      idempotencyKey: some('k'),
    });
    const outcome: fc.Arbitrary<FrameOutcome> = fc.oneof(
      fc.record({ success: fc.constant(true as const) }),
      fc.record({ success: fc.constant(true as const), data: fc.constant({ a: 1 }) }),
      fc.record(
        {
          success: fc.constant(false as const),
          errorCode: fc.constant('ENGINE_FAILED'),
          error: fc.constant('why'),
          timedOut: fc.constant(true as const),
          details: fc.constant({ a: 1 }),
        },
        { requiredKeys: ['success', 'errorCode', 'error'] },
      ),
    );
    fc.assert(
      fc.property(command, outcome, some(3), some('i'), (c, o, version, id) => {
        const identity = withoutAbsent({ ...c, dependsOn: c.dependsOn ?? [] });
        const told = withoutAbsent({ ...o, data: undefined, details: undefined, sessionVersion: version });
        const lifecycle = [frames.accepted(c), frames.started(c), frames.finished(c, o, version, false)];
        expect(lifecycle.map((text) => outgoingFrame.parse(JSON.parse(text)))).toStrictEqual([
          { type: 'command_accepted', data: identity },
          { type: 'command_started', data: identity },
          { type: 'command_finished', data: { ...identity, ...told } },
        ]);
        const response: unknown = JSON.parse(frames.response('prompt', id, o, version));
        expect(outgoingFrame.parse(response)).toStrictEqual(
          withoutAbsent({ type: 'response', id, command: 'prompt', ...o, sessionVersion: version }),
        );
      }),
    );
  });
});

describe('R12: a command', () => {
  const optional = catalog.flatMap(({ type, schema }) =>
    Object.entries(schema.shape).flatMap(([name, field]) =>
      field instanceof z.ZodOptional ? [{ type, schema, name }] : [],
    ),
  );

  it.each(optional.map((each) => [each.type, each.name, each] as const))(
    'R12: %s leaves out %s, and does not send null for it',
    (_type, _name, { type, schema, name }) => {
      const complains = (value: Value): boolean =>
        schema.safeParse(value).error?.issues.some(({ path }) => path[0] === name) === true;
      expect(complains({})).toBe(false);
      expect(complains({ [name]: null })).toBe(!FOREIGN.includes(`${type}.${name}`));
    },
  );
});

/** A journal in memory answers these with a refusal, which is looked at like all else. */
const NEED_A_FILE = ['backup'];

describe('R12: what a server says in a run of every command', () => {
  it('R12: has null only where null is the answer', async () => {
    const page = readFileSync(`${root}/docs/PROTOCOL.md`, 'utf8');
    const examples = [...page.matchAll(/^```json command\n(.+)\n```$/gm)].map(
      (block) => JSON.parse(block[1]!) as Value,
    );
    const plain = examples.map(
      ({ dependsOn: _1, ifSessionVersion: _2, idempotencyKey: _3, after: _4, ...rest }) => rest,
    );
    const asked = catalog.map(({ type }) => plain.find((example) => example['type'] === type) ?? { type });
    const last = ['unsubscribe', 'delete_session', 'purge_session'];
    const ordered = [...asked.filter(({ type }) => !last.includes(String(type))), ...last.map((type) => ({ type }))];
    const world = createWorld();
    await world.start();
    const client = world.connect();
    client.send({ type: 'create_session', id: 'first', sessionId: 'demo' });
    client.send({ type: 'get_last_assistant_text', id: 'nothing', sessionId: 'demo' });
    await world.settle();
    for (const [index, command] of ordered.entries()) {
      const session = command.type === 'create_session' ? {} : { sessionId: 'demo' };
      const topics = command.type === 'unsubscribe' ? { topics: ['lifecycle'] } : {};
      client.send({ ...command, ...session, ...topics, id: `run-${index}` });
      await world.advance(10);
    }
    const succeeded = new Set(client.responses().flatMap(({ command, success }) => (success ? [String(command)] : [])));
    expect(catalog.map(({ type }) => type).filter((type) => !succeeded.has(type))).toEqual(NEED_A_FILE);
    expect(client.response('nothing')!['data']).toStrictEqual({ text: null });

    const found = client.frames.flatMap((frame) => {
      expect(outgoingFrame.safeParse(frame).error).toBeUndefined();
      // What an engine says of a turn is its own.
      const { event: _, ...own } = frame;
      return nullsIn(own).map((path) => `${String(frame['command'] ?? frame.type)}: ${path}`);
    });
    const allowed = Object.entries(NULL_ANSWERS).flatMap(([type, paths]) => paths.map((path) => `${type}: ${path}`));
    expect([...new Set(found)].sort()).toEqual(allowed.sort());
  });
});

describe('R12: behind the wire', () => {
  it('R12: the journal gives back an entry with the same fields, none of them undefined', () => {
    fc.assert(
      fc.property(arbitraryDraft, (draft) => {
        const entry = new EntrySource().next('session:s', structuredClone(draft));
        expect(decode(encode(entry))).toStrictEqual(entry);
      }),
    );
  });

  it('R12: the state of a session has every field from the start, and null where there is nothing', async () => {
    const world = createWorld();
    await world.start();
    const client = world.connect();
    client.send({ type: 'create_session', id: 'create', sessionId: 's' });
    await world.settle();
    const fresh = structuredClone(world.system.session('s')!.state!);
    client.send({ type: 'set_session_name', id: 'name', sessionId: 's', name: 'named' });
    client.send({ type: 'prompt', id: 'prompt', sessionId: 's', message: 'go' });
    await world.advance(10);
    const later = structuredClone(world.system.session('s')!.state!);
    expect(client.response('prompt')).toMatchObject({ success: true });
    expect(Object.keys(later).sort()).toEqual(Object.keys(fresh).sort());
    for (const state of [fresh, later]) expect(JSON.parse(JSON.stringify(state))).toStrictEqual(state);
    expect(fresh).toMatchObject({ name: null, cwd: null, labels: null, resume: null, turn: null, closed: null });
  });

  it('R12: the configuration has every key, and null where there is nothing', () => {
    expect(JSON.parse(JSON.stringify(defaultConfig))).toStrictEqual(defaultConfig);
    expectTypeOf<Complete<Config>>().toEqualTypeOf<Config>();
  });

  it('R12: the compiler lets no optional field hold undefined', () => {
    const { config } = ts.readConfigFile(`${root}/tsconfig.json`, (path) => readFileSync(path, 'utf8')) as {
      config: { compilerOptions: Value };
    };
    expect(config.compilerOptions).toMatchObject({ strict: true, exactOptionalPropertyTypes: true });
  });
});

/** The same with no field that may be missing, at any depth. */
type Complete<T> = T extends readonly unknown[] ? T : T extends object ? { [K in keyof T]-?: Complete<T[K]> } : T;

function withoutAbsent(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
