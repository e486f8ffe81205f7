/** What the rules take away from an entry that is stored, and what they never touch. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, EntryDraft } from '../../actors/entry.ts';
import { decode, encode } from '../../src/journal/entry.ts';
import { fingerprint } from '../../src/journal/fingerprint.ts';
import { createRedaction } from '../../src/journal/redaction.ts';
import type { SecretFields } from '../../src/journal/redaction.ts';
import { compileRules } from '../../src/protocol/redaction-rules.ts';
import { EntrySource, oneOfEach } from '../../src/testing/entry-source.ts';
import { arbitraryDraft } from './arbitrary-entry.ts';

const SECRET = 'sk-abcdef123456';
const rules = { keys: ['password', 'apiKey'], patterns: ['sk-[a-z0-9]{6,}'] };

function redactionOf(given = rules, secrets?: SecretFields) {
  const made = createRedaction(given, secrets);
  if (made === undefined) throw new Error('There are no rules.');
  return made;
}
const redaction = redactionOf();
const entryOf = (draft: EntryDraft): Entry => new EntrySource().next('session:s', draft);
const accepted = (command: string): Entry => entryOf({ ...oneOfEach['command.accepted'], content: { command } });
const storedCommand = (command: string): string => {
  const { content } = redaction.entry(accepted(command));
  return (content as { command: string }).command;
};

describe('a stored entry', () => {
  it.each([
    ['in a text', `{"message":"use ${SECRET} now"}`, { message: 'use [redacted] now' }],
    ['at any depth', `{"a":[{"b":{"c":["${SECRET}"]}}]}`, { a: [{ b: { c: ['[redacted]'] } }] }],
    [
      'under a key, whatever it is and whatever the case',
      '{"x":{"PASSWORD":{"a":1}},"apikey":7}',
      { x: { PASSWORD: '[redacted]' }, apikey: '[redacted]' },
    ],
    [
      'as a key',
      `{"labels":{"${SECRET}":"1","${SECRET}x":"2"}}`,
      { labels: { '[redacted]': '1', '[redacted] 2': '2' } },
    ],
    [
      'in JSON as text',
      JSON.stringify({ message: JSON.stringify({ password: 'hunter2', n: 1 }) }),
      { message: '{"password":"[redacted]","n":1}' },
    ],
    [
      'in JSON as text in JSON as text',
      JSON.stringify({ m: JSON.stringify([JSON.stringify({ apiKey: 'x' })]) }),
      { m: '["{\\"apiKey\\":\\"[redacted]\\"}"]' },
    ],
    ['behind escapes', '{"message":"\\u0073k-abcdef123456"}', { message: '[redacted]' }],
    ['under a key that is there twice', `{"message":"${SECRET}","message":"fine"}`, { message: 'fine' }],
    [
      'under a named key that is there twice',
      '{"m":"{\\"password\\":\\"hunter2\\",\\"password\\":null}"}',
      { m: '{"password":"[redacted]"}' },
    ],
    [
      'beside another',
      `{"message":"${SECRET}.${SECRET} and ${SECRET}"}`,
      { message: '[redacted].[redacted] and [redacted]' },
    ],
  ])('has no secret %s', (_where, command, expected) => {
    const left = storedCommand(command);
    expect(left).not.toMatch(/sk-|hunter2/);
    expect(JSON.parse(left)).toEqual(expected);
  });

  it('keeps ids, types, order, outcome and codes, whatever they look like', () => {
    const named = { type: 'prompt', id: SECRET, sessionId: SECRET, dependsOn: [SECRET], idempotencyKey: SECRET };
    expect(JSON.parse(storedCommand(JSON.stringify({ ...named, message: SECRET })))).toEqual({
      ...named,
      message: '[redacted]',
    });
    for (const draft of Object.values(oneOfEach)) {
      const entry = entryOf(draft);
      const { content: _, redacted: _1, ...identity } = redaction.entry(entry) as Entry & { fingerprint?: string };
      expect(identity).toMatchObject(
        Object.fromEntries(Object.entries(entry).filter(([name]) => name !== 'content' && name !== 'redacted')),
      );
    }
  });

  it('knows the fingerprint of the command as it was received, and that it lost something', () => {
    const command = `{ "type":"prompt", "message":"${SECRET}" }`;
    expect(redaction.entry(accepted(command))).toMatchObject({ redacted: true, fingerprint: fingerprint(command) });
    const spaced = accepted('{ "type":"prompt", "message":"fine" }');
    expect(redaction.entry(spaced)).not.toHaveProperty('redacted');
    expect(fingerprint(storedCommand('{ "type":"prompt", "message":"fine" }'))).toBe(
      fingerprint('{"type":"prompt","message":"fine"}'),
    );
  });

  it('is the same one when there is nothing to take away', () => {
    for (const kind of ['session.event', 'command.finished', 'server.stopped'] as const) {
      const entry = entryOf(oneOfEach[kind]);
      expect(redaction.entry(entry)).toBe(entry);
    }
  });

  it('never changes the one that runs', () => {
    const entry = entryOf({
      ...oneOfEach['session.event'],
      content: { event: { type: 'message_end', message: { role: 'user', content: [{ type: 'text', text: SECRET }] } } },
    });
    const before = structuredClone(entry);
    expect(JSON.stringify(redaction.entry(entry))).not.toContain(SECRET);
    expect(entry).toEqual(before);
  });

  it('holds no secret wherever it was planted, reads back as it is, and loses nothing by a second pass', () => {
    const key = fc.constantFrom('a', 'password', SECRET, '__proto__');
    fc.assert(
      fc.property(
        arbitraryDraft,
        fc.dictionary(key, fc.oneof(fc.constant(SECRET), fc.jsonValue())),
        (draft, planted) => {
          const content = 'turn' in draft.content ? { ...draft.content, turn: planted as never } : draft.content;
          const stored = redaction.entry(entryOf({ ...draft, content } as EntryDraft));
          expect(JSON.stringify(stored.content)).not.toContain(SECRET);
          expect(decode(encode(stored))).toEqual(JSON.parse(JSON.stringify(stored)));
          expect(redaction.entry(stored).content).toEqual(stored.content);
        },
      ),
    );
  });

  it('keeps the form of messages when a rule names a part of it', () => {
    const byContent = redactionOf({ keys: ['content', 'fields'], patterns: [] });
    const message = { role: 'assistant', content: [{ type: 'text', text: 'said' }] };
    const event = (fields: object) => entryOf({ ...oneOfEach['session.event'], content: { event: fields as never } });
    expect(byContent.entry(event({ type: 'message_end', message })).content).toEqual({
      event: { type: 'message_end', message: { role: 'assistant', content: [{ type: 'text', text: '[redacted]' }] } },
    });
    expect(byContent.entry(event({ type: 'session_changed', fields: { name: 'x' } })).content).toEqual({
      event: { type: 'session_changed', fields: { name: '[redacted]' } },
    });
  });

  it('is withheld whole when it can not be looked at', () => {
    const stored = redaction.entry(
      entryOf({ ...oneOfEach['command.accepted'], content: { command: '{"message":"x"}' } }),
    );
    expect(stored).not.toHaveProperty('redacted');
    let deep: unknown = SECRET;
    for (let level = 0; level < 100_000; level += 1) deep = [deep];
    const entry = entryOf({ ...oneOfEach['turn.released'], content: { resume: deep as never } });
    expect(redaction.entry(entry)).toMatchObject({ redacted: true, content: { resume: null } });
  });

  it('never has a field that is classed secret, with no rule at all', () => {
    const secrets = new Map([['prompt', new Set(['token'])]]);
    const stored = redactionOf({ keys: [], patterns: [] }, secrets).entry(
      accepted('{"type":"prompt","token":"hunter2"}'),
    );
    expect(JSON.stringify(stored)).not.toContain('hunter2');
    expect(stored).toMatchObject({ redacted: true });
  });
});

describe('a long text', () => {
  it('is looked at in pieces, and nothing on their borders is missed', () => {
    for (const at of [0, 4_090, 8_185, 8_192, 20_000, 99_985]) {
      const text = `${'.'.repeat(at)}${SECRET}${'.'.repeat(100_000 - at)}`;
      expect(redaction.text(text)).toBe(`${'.'.repeat(at)}[redacted]${'.'.repeat(100_000 - at)}`);
    }
  });

  it('is looked at in short pieces by a pattern that is slow on long ones', () => {
    const rule = '[\\w.+-]+@[\\w-]+\\.[\\w.-]+';
    const [pattern] = compileRules({ keys: [], patterns: [rule] }).rules.patterns;
    expect(pattern!.pieceChars).toBeLessThanOrEqual(2_048);
    const email = redactionOf({ keys: [], patterns: [rule] });
    for (const at of [0, 250, 511, 1_023, 9_999]) {
      const text = `${'.,'.repeat(at)} jane.doe@example.org ${'a'.repeat(10_000)}`;
      expect(email.text(text)).toBe(`${'.,'.repeat(at)} [redacted] ${'a'.repeat(10_000)}`);
    }
  });
});

describe('a line of the log', () => {
  it('keeps what it is about and loses what is secret', () => {
    const line = {
      level: 50,
      msg: 'engine threw',
      commandId: SECRET,
      error: { message: `bad ${SECRET}`, stack: SECRET },
      password: 1,
    };
    expect(JSON.parse(redaction.line(`${JSON.stringify(line)}\n`))).toEqual({
      ...line,
      error: { message: 'bad [redacted]', stack: '[redacted]' },
      password: '[redacted]',
    });
    expect(redaction.line(`no JSON ${SECRET}\n`)).toBe('no JSON [redacted]\n');
  });
});

it('costs nothing without rules: there is none', () => {
  expect(createRedaction({ keys: [], patterns: [] })).toBeUndefined();
});
