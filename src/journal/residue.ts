/**
 * What is left of an entry's content when it is blanked: the fields that name, order and end things, so that folding gives the
 * same sessions, versions and numbers. Texts are replaced by a mark, everything else that is content is gone.
 *
 * A row whose content was blanked keeps the digest of what was there: the chain goes on over it. Pure.
 */
import type { EntryKind } from '../../actors/entry.ts';
import { REDACTED } from '../protocol/redaction-rules.ts';
import { encodeParsed, parseContent } from './entry.ts';
import { commandShape, entryClasses } from './entry-classes.ts';
import type { Shape } from './entry-classes.ts';

/** The stored form of what is left of `content`. Blanked twice it is the same. */
export function residueOf(kind: EntryKind, content: string): string {
  const { command, rest } = parseContent(content);
  const left = residue(rest, entryClasses[kind].content) as Record<string, unknown>;
  return encodeParsed({ command: command === undefined ? undefined : residueOfCommand(command), rest: left });
}

/** The same of a content, or another value with a shape, that is not written down yet. */
export function residueOfParts(kind: EntryKind | Shape, value: object): object {
  const shape =
    typeof kind === 'string' && kind in entryClasses ? entryClasses[kind as EntryKind].content : (kind as Shape);
  const left = residue(value, shape) as Record<string, unknown>;
  if ('command' in value && typeof value.command === 'string') left['command'] = residueOfCommand(value.command);
  return left;
}

function residueOfCommand(command: string): string {
  return JSON.stringify(residue(JSON.parse(command), commandShape));
}

function residue(value: unknown, shape: Shape | undefined): unknown {
  if (shape === 'identity' || shape === 'operational') return value;
  if (typeof value === 'string') return REDACTED;
  if (typeof value !== 'object' || value === null || shape === undefined || typeof shape === 'string') return null;
  if (isList(shape)) return Array.isArray(value) ? value.map((item) => residue(item, shape[0])) : null;
  if (Array.isArray(value)) return null;
  const left: Record<string, unknown> = {};
  for (const [name, field] of Object.entries(value)) {
    // The names of all others are content as well.
    if (Object.hasOwn(shape, name)) left[name] = residue(field, shape[name]);
  }
  return left;
}

function isList(shape: Shape): shape is readonly [Shape] {
  return Array.isArray(shape);
}
