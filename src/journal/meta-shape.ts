/**
 * The text of an entry's meta as it is written most of the time: its fields in their order, and no value in them that has to be
 * unescaped. Found by one expression the few that a fold wants cost a quarter of what parsing all of them does.
 *
 * An expression fits nothing but JSON, so a text that is damaged does not become another one by it: it fits as what it is, or is
 * parsed. Pure.
 */

/** What values look like. */
export const TEXT = '"[^"\\\\\\u0000-\\u001f]*"';
export const NUMBER = '(?:0|[1-9]\\d{0,14})';
export const BOOLEAN = '(?:true|false)';
export const TRUE = 'true';

/** Name and value of each field: `?` behind the name of one that may be missing, `=` before that of one that is wanted. */
type Shape = readonly (readonly [name: string, value: string])[];

/** Captures what is wanted, in order, and last of all that the entry was redacted. The first field must not be missing. */
export function shaped(shape: Shape): RegExp {
  const fields = [...shape, ['=redacted?', TRUE] as const].map(([name, value], index) => {
    const [, wanted, bare, optional] = /^(=?)(\w+)(\??)$/.exec(name)!;
    const field = `${index === 0 ? '' : ','}"${bare}":${wanted === '' ? value : `(${value})`}`;
    return optional === '' ? field : `(?:${field})?`;
  });
  return new RegExp(`^\\{${fields.join('')}\\}$`);
}

export function flag(found: string | undefined): true | undefined {
  return found === undefined ? undefined : true;
}

export function number(found: string | undefined): number | undefined {
  return found === undefined ? undefined : Number(found);
}

const names = new Map<string, string>();
/** More than there are names; who makes up others gets them all the same. */
const NAMES_MAX = 200;

/** A text of which there are few, as one that is compared at once. */
export function known(found: string): string {
  const before = names.get(found);
  if (before !== undefined) return before;
  // The name of a field is kept once, wherever it stands.
  const [name = ''] = Object.keys({ [text(found)]: true });
  if (names.size < NAMES_MAX) names.set(found, name);
  return name;
}

/** Nothing in it is escaped. */
export function text(found: string): string {
  return found.slice(1, -1);
}
