/**
 * Strings as JSON text, fast: most ids and names need no escaping, and a regular expression sees that in less time than the
 * general serializer takes. Pure. State: none.
 */

/** What JSON text must escape, and surrogates: a lone one is no valid text and has to leave as an escape. */
const NEEDS_ESCAPE = /["\\\u0000-\u001f\ud800-\udfff]/;

export function quote(text: string): string {
  return NEEDS_ESCAPE.test(text) ? JSON.stringify(text) : `"${text}"`;
}
