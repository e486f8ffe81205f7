/** Data classes: every field of command, event and entry has one, and what follows from it holds. */
import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import { catalog } from '../../src/commands/catalog.ts';
import { secretFields } from '../../src/commands/secret-fields.ts';
import { entryClasses, eventShape, commandShape } from '../../src/journal/entry-classes.ts';
import { classed, dataClassOf } from '../../src/protocol/data-class.ts';
import { envelopes } from '../../src/protocol/envelope.ts';
import { oneOfEach } from '../../src/testing/entry-source.ts';
import { eventfulEntries } from '../support/eventful-run.ts';

const unclassed = (shape: Readonly<Record<string, z.core.$ZodType>>): string[] =>
  Object.keys(shape).filter((name) => dataClassOf(shape[name]!) === undefined);

describe('Data classes', () => {
  it.each(catalog.map((command) => [command.type, command] as const))(
    'are given to every field of %s',
    (_type, { schema }) => {
      expect(unclassed(schema.shape), 'fields without a class: see src/protocol/data-class.ts').toEqual([]);
    },
  );

  it.each(Object.entries(envelopes))('are given to every field of the envelope %s', (_name, envelope) => {
    expect(unclassed(envelope)).toEqual([]);
  });

  it('of a new field are missed', () => {
    expect(unclassed({ fresh: z.string(), known: classed('content', z.optional(z.string())) })).toEqual(['fresh']);
  });

  it('are given to every field of every entry, and no other', async () => {
    for (const entry of [...Object.values(oneOfEach), ...(await eventfulEntries())]) {
      const { meta, content } = entryClasses[entry.kind];
      const { content: said, ...head } = entry;
      for (const name of Object.keys(head)) expect(Object.keys(meta), entry.kind).toContain(name);
      for (const name of Object.keys(said)) expect(Object.keys(content), entry.kind).toContain(name);
    }
  });

  it('put no content outside of `content`, and nothing that is secret anywhere', () => {
    for (const { meta, content } of Object.values(entryClasses)) {
      expect(Object.values(meta)).not.toContain('content');
      expect(JSON.stringify({ meta, content })).not.toContain('secret');
    }
    expect([...secretFields(catalog)]).toEqual([]);
  });

  it('are the same for a field of the envelope in its schema and in the stored text', () => {
    const stored: Readonly<Record<string, string>> = commandShape;
    for (const [name, schema] of Object.entries(envelopes.session)) {
      if (name !== 'traceparent') expect(stored[name], name).toBe(dataClassOf(schema));
    }
  });

  it('know which fields of an event are what it is about, and leave the rest to redaction and purge', () => {
    expect(Object.keys(eventShape)).toEqual(expect.arrayContaining(['type', 'toolCallId', 'message']));
  });

  it('make a field that is secret known to what is stored', () => {
    const command = { ...catalog[0]!, type: 'x', schema: z.object({ token: classed('secret', z.string()) }) };
    expect(secretFields([command])).toEqual(new Map([['x', new Set(['token'])]]));
  });
});
