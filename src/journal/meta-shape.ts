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

/** Nothing in it is escaped. */
export function text(found: string): string {
  return found.slice(1, -1);
}
