import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Entry, EntryDraft } from '../../actors/entry.ts';
import { RECORD_VERSION, commandText, decode, encode, settledFields } from '../../src/journal/entry.ts';
import { EntrySource, oneOfEach } from '../../src/testing/entry-source.ts';
import { arbitraryDraft } from './arbitrary-entry.ts';

const entryOf = (draft: EntryDraft): Entry => new EntrySource().next('session:ż', draft);
const arbitraryEntry = arbitraryDraft.map(entryOf);

/** What SQLite or a wire makes of a text. */
const throughUtf8 = (text: string): string => Buffer.from(text, 'utf8').toString('utf8');

describe('the stored form of an entry', () => {
  it.each(Object.values(oneOfEach).map((draft) => [draft.kind, draft] as const))('gives a %s back', (_kind, draft) => {
    const entry = entryOf(draft);
    expect(decode(encode(entry))).toStrictEqual(entry);
  });

  it('gives back every entry as it was, after its texts went through UTF-8', () => {
    fc.assert(
      fc.property(arbitraryEntry, (entry) => {
        const record = encode(entry);
        const { meta, content } = record;
        expect(decode({ ...record, meta: throughUtf8(meta), content: throughUtf8(content) })).toEqual(entry);
      }),
    );
  });

  it('is the same again when what was stored is encoded once more, so that hashes can be checked', () => {
    fc.assert(
      fc.property(arbitraryEntry, (entry) => {
        expect(encode(decode(encode(entry)))).toStrictEqual(encode(entry));
      }),
    );
  });

  it('has a field for each that the hand-written encoder lists', () => {
    const entry = entryOf(oneOfEach['command.settled']);
    const { meta, content } = encode(entry);
    expect(Object.keys(JSON.parse(meta) as object).sort()).toEqual([...settledFields.meta].sort());
    const written = Object.keys(JSON.parse(content) as object).filter((name) => name !== 'commandLength');
    expect(written.sort()).toEqual([...settledFields.content].sort());
  });

  it('leaves out fields that are there and undefined', () => {
    const entry = entryOf({ ...oneOfEach['command.settled'], seq: undefined, dependsOn: undefined } as never);
    const { seq: _1, dependsOn: _2, ...rest } = entry as Extract<Entry, { kind: 'command.settled' }>;
    expect(decode(encode(entry))).toStrictEqual(rest);
  });
});

describe('the text of a command', () => {
  const accepted = (command: string): Entry => entryOf({ ...oneOfEach['command.accepted'], content: { command } });
  const contentOf = (command: string): string => encode(accepted(command)).content;

  it.each([
    ['white space', ' {"type" :\n"x"}\r\n\t'],
    ['escapes', '{"type":"\\u0061\\ud83d\\"\\\\"}'],
    ['duplicate keys', '{"type":"x","type":"y","__proto__":1}'],
    ['numbers that change when written again', '{"x":1e400,"y":-0,"z":0.10,"n":12345678901234567890}'],
    ['what looks like the end of it', '{"x":"\\"},\\"data\\":{}}"} '],
    ['characters of two and four bytes', '{"x":"żółw 😀"}'],
  ])('is kept letter by letter: %s', (_what, command) => {
    expect(commandText(throughUtf8(contentOf(command)))).toBe(command);
    expect(decode(encode(accepted(command))).content).toEqual({ command });
  });

  it('lies in the content as JSON, for readers that know nothing of troupe', () => {
    const content = JSON.parse(contentOf(' {"type":\n"x"} ')) as { command: unknown };
    expect(content.command).toEqual({ type: 'x' });
  });

  it('is kept when UTF-8 has no letter for it', () => {
    const command = '{"x":"half a pair: \ud83d"}';
    expect(throughUtf8(command)).not.toBe(command);
    expect(commandText(throughUtf8(contentOf(command)))).toBe(command);
  });

  it('is nowhere in an entry without a command', () => {
    expect(commandText(encode(entryOf(oneOfEach['session.event'])).content)).toBeUndefined();
  });
});

describe('the version of the stored form', () => {
  it('is refused when it is newer, naming the offset', () => {
    const record = encode(entryOf(oneOfEach['server.started']));
    expect(() => decode({ ...record, version: RECORD_VERSION + 1 })).toThrow(/offset 1 is stored in form 2/);
  });
});
