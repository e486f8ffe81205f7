/**
 * Schemas of fields that more than one command has, with the base protocol's texts for wrong values. They check and never
 * change a value. State: none.
 */
import { z } from 'zod';
import type { After, Cursor } from '../../actors/message.ts';
import { classed } from '../protocol/data-class.ts';
import { hasControlCharacters } from '../protocol/envelope.ts';
import { field, textField } from '../protocol/field.ts';

const MESSAGE_CHARS_MAX = 200_000;
const NAME_CHARS_MAX = 256;

/** A string that is there and not empty; `more` is asked last. */
function requiredText(charsMax: number, more?: (text: string) => string | undefined) {
  const error = 'Required string';
  return textField(error, charsMax, (text) => {
    if (text === '') return error;
    return text.length > charsMax ? `Too long (max ${charsMax} chars)` : more?.(text);
  });
}

/** Names are shown in lists and logs: one line. */
export const nameField = classed(
  'content',
  requiredText(NAME_CHARS_MAX, (name) =>
    hasControlCharacters(name) ? 'Must not contain control characters' : undefined,
  ),
);

/** Any array. Its items are not walked, so a long one costs nothing. */
const images = field<unknown[]>({ type: 'array' }, (value) =>
  Array.isArray(value) ? undefined : 'Must be an array if provided',
);

/** What a prompt, a steer and a follow-up say. `images` belong to the engine; only their outer shape is checked here. */
export const messageFields = {
  message: classed('content', requiredText(MESSAGE_CHARS_MAX)),
  images: classed('content', z.optional(images)),
};

/** One of a few words. */
export function choiceField<const Choices extends readonly [string, ...string[]]>(choices: Choices) {
  return classed('operational', z.enum(choices, { error: `Must be one of: ${choices.join(', ')}` }));
}

/** A page size. */
export function limitField(max: number) {
  const range = `Must be between 1 and ${max}`;
  const number = z.int({ error: 'Must be an integer if provided' }).min(1, { error: range }).max(max, { error: range });
  return classed('operational', number);
}

const EPOCH_CHARS_MAX = 256;

const cursor = z.object({ epoch: z.string().min(1).max(EPOCH_CHARS_MAX), seq: z.int().min(0) });

const cursorSchema: z.core.JSONSchema.BaseSchema = {
  type: 'object',
  properties: {
    epoch: { type: 'string', minLength: 1, maxLength: EPOCH_CHARS_MAX },
    seq: { type: 'integer', minimum: 0 },
  },
  required: ['epoch', 'seq'],
};

/** Behind which event of a session. */
export const afterField = classed(
  'operational',
  field<After>({ anyOf: [{ enum: ['live', 'start'] }, cursorSchema] }, (value) =>
    value === 'live' || value === 'start' || cursor.safeParse(value).success
      ? undefined
      : "Must be 'live', 'start' or {epoch, seq}",
  ),
);

/** Before which event of a session; `live` is the end of what there is. */
export const beforeField = classed(
  'operational',
  field<Cursor | 'live'>({ anyOf: [{ enum: ['live'] }, cursorSchema] }, (value) =>
    value === 'live' || cursor.safeParse(value).success ? undefined : "Must be 'live' or {epoch, seq}",
  ),
);
