/**
 * How deep a parsed frame is nested. What lies deeper than the limit is never walked by anything that recurses: hashing,
 * serializing, engines. Pure.
 */

/** Levels of arrays and objects, the frame itself included. */
export const NESTING_MAX = 64;

/** A text shorter than this has no room for the brackets. */
const DEEP_CHARS_MIN = 2 * (NESTING_MAX + 1);

export function isTooDeep(value: unknown, text: string): boolean {
  return text.length >= DEEP_CHARS_MIN && exceeds(value, NESTING_MAX);
}

function exceeds(value: unknown, levels: number): boolean {
  if (typeof value !== 'object' || value === null) return false;
  if (levels === 0) return true;
  if (Array.isArray(value)) {
    for (const item of value) if (typeof item === 'object' && exceeds(item, levels - 1)) return true;
    return false;
  }
  const fields = value as Record<string, unknown>;
  for (const name of Object.keys(fields)) {
    const field = fields[name];
    if (typeof field === 'object' && exceeds(field, levels - 1)) return true;
  }
  return false;
}
