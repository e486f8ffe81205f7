/**
 * What the subpaths of the package export, as the compiler sees it: every name has a sentence that an editor can show, and the
 * README names every subpath. Charts are documented by their own descriptions.
 */
import { readFileSync } from 'node:fs';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import ts from 'typescript';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const read = (path: string): string => readFileSync(`${root}/${path}`, 'utf8');

type Target = string | { readonly types: string };
const { exports } = JSON.parse(read('package.json')) as { exports: Record<string, Target> };

/** Subpaths with the source file behind each. */
const subpaths = Object.entries(exports).flatMap(([subpath, target]) =>
  typeof target === 'string'
    ? []
    : [{ subpath, file: target.types.replace(/^\.\/dist\/(.*)\.d\.ts$/, `${root}$1.ts`) }],
);

function exportedSymbols(program: ts.Program, file: string): ts.Symbol[] {
  const checker = program.getTypeChecker();
  const source = program.getSourceFile(file);
  const module = source && checker.getSymbolAtLocation(source);
  if (module === undefined) throw new Error(`${file} is no module`);
  return checker
    .getExportsOfModule(module)
    .map((symbol) => (symbol.flags & ts.SymbolFlags.Alias ? checker.getAliasedSymbol(symbol) : symbol));
}

function placeOf(symbol: ts.Symbol): string {
  const file = symbol.declarations?.[0]?.getSourceFile().fileName ?? 'nowhere';
  return `${relative(root, file)}: ${symbol.name}`;
}

describe('the public surface', { timeout: 60_000 }, () => {
  it('has a sentence for every name', () => {
    const { options } = ts.parseJsonConfigFileContent(
      ts.readConfigFile(`${root}/tsconfig.json`, (path) => readFileSync(path, 'utf8')).config,
      ts.sys,
      root,
    );
    const documented = subpaths.filter(({ subpath }) => subpath !== './machines').map(({ file }) => file);
    const program = ts.createProgram(documented, { ...options, incremental: false });
    const checker = program.getTypeChecker();
    const symbols = documented.flatMap((file) => exportedSymbols(program, file));
    const silent = symbols.filter((symbol) => symbol.getDocumentationComment(checker).length === 0);
    expect(symbols.length).toBeGreaterThan(documented.length);
    expect([...new Set(silent.map(placeOf))]).toEqual([]);
  });

  it('is listed in the README, subpath by subpath', () => {
    const named = [...read('README.md').matchAll(/`(troupe(?:\/[a-z/]+)?)`/g)].map(([, name]) => name);
    const missing = subpaths
      .map(({ subpath }) => subpath.replace(/^\./, 'troupe'))
      .filter((name) => !named.includes(name));
    expect(missing).toEqual([]);
    const gone = named.filter((name) => !Object.hasOwn(exports, name!.replace('troupe', '.')));
    expect(gone).toEqual([]);
  });
});
