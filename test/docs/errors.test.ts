/**
 * One table of errors: what the code raises is in it, and docs/ERRORS.md is the table.
 */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { errorCodes, errors, errorTable, isErrorCode } from '../../src/protocol/errors.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${root}/docs/ERRORS.md`, 'utf8');

/** Codes that the sources give to a failure. */
function raised(): { file: string; code: string }[] {
  const files = globSync('{actors,src}/**/*.ts', { cwd: root });
  return files.flatMap((file) => {
    const source = readFileSync(`${root}/${file}`, 'utf8');
    const calls = source.matchAll(
      /\b(?:failure|refusal|refuse|refuseOffences)\(\s*'([A-Z_]+)'|errorCode: '([A-Z_]+)'/g,
    );
    return [...calls].map((call) => ({ file, code: call[1] ?? call[2] ?? '' }));
  });
}

describe('docs/ERRORS.md', () => {
  it('lists exactly the codes of the table', () => {
    const listed = [...page.matchAll(/^\| `([A-Z_]+)` (?:\|[^|\n]+){3}\|$/gm)].map((row) => row[1] ?? '');
    expect(listed.filter((code) => !isErrorCode(code))).toEqual([]);
    expect(errorCodes.filter((code) => !listed.includes(code))).toEqual([]);
    expect(new Set(listed).size).toBe(listed.length);
  });

  it('says of each code what the table says', () => {
    expect(page).toContain(errorTable());
  });
});

describe('the table of errors', () => {
  it('has every code that the sources raise', () => {
    const found = raised();
    expect(found.length).toBeGreaterThan(10);
    expect(found.filter(({ code }) => !isErrorCode(code))).toEqual([]);
  });

  it('writes codes in upper snake case and texts as sentences', () => {
    for (const code of errorCodes) {
      const { meaning, action } = errors[code];
      expect(code).toMatch(/^[A-Z]+(_[A-Z]+)*$/);
      for (const text of [meaning, action]) expect(text, code).toMatch(/^[A-Z][^|\n]*\.$/);
    }
  });

  it('does not take names of Object.prototype for codes', () => {
    expect(['constructor', 'toString', '__proto__', 'nope'].filter(isErrorCode)).toEqual([]);
  });
});
