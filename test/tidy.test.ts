/**
 * The codebase tests itself: what a reviewer would otherwise have to say each time. A failure names file and line.
 */
import { globSync, readFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const LINES_MAX = 400;

const ROOT_ALLOWED = [
  'README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md LICENSE',
  'package.json package-lock.json tsconfig.json eslint.config.js vitest.config.ts',
  'machines actors src test docs visualizations',
  '.ci .config .github .gitattributes .gitignore .npmrc',
].flatMap((line) => line.split(' '));

const shipped = globSync('{machines,actors,src}/**/*.ts', { cwd: root });
const tests = globSync('test/**/*.ts', { cwd: root }).filter((file) => file !== 'test/tidy.test.ts');
const machines = shipped.filter((file) => file.startsWith('machines/'));

const linesOf = (file: string): string[] => readFileSync(`${root}/${file}`, 'utf8').split('\n');

/** Comments out, line numbers kept: a rule about code must not trip over a sentence that explains it. */
function codeOf(file: string): string[] {
  const blank = (text: string): string => text.replace(/[^\n]/g, ' ');
  const text = linesOf(file)
    .join('\n')
    .replace(/\/\*[\s\S]*?\*\//g, blank);
  return text.split('\n').map((line) => line.replace(/(^|\s)\/\/.*$/, ''));
}

function offences(files: string[], pattern: RegExp, read = codeOf): string[] {
  return files.flatMap((file) =>
    read(file).flatMap((line, index) => (pattern.test(line) ? [`${file}:${index + 1}: ${line.trim()}`] : [])),
  );
}

describe('the codebase', () => {
  it('has sources to look at', () => {
    expect(shipped.length).toBeGreaterThan(0);
  });

  it('leaves nothing for later', () => {
    expect(offences([...shipped, ...tests], /\b(TODO|FIXME|XXX|HACK)\b/, linesOf)).toEqual([]);
  });

  it('skips no test and runs none alone', () => {
    expect(offences(tests, /\b(it|test|describe|bench)\.(skip|only|todo|fails)\b|\b(xit|xdescribe|fit)\(/)).toEqual([]);
  });

  it('keeps the type checker switched on', () => {
    expect(offences(shipped, /\bas any\b|:\s*any\b|<any>|\bany\[\]/)).toEqual([]);
    expect(offences(shipped, /@ts-(ignore|nocheck|expect-error)|eslint-disable(?!-next-line)/, linesOf)).toEqual([]);
  });

  it('keeps time, chance and effects out of the machines', () => {
    const impure =
      /\b(Date\.now|new Date\b|Math\.random|setTimeout|setInterval|setImmediate|console\.|process\.|performance\.)/;
    expect(offences(machines, impure)).toEqual([]);
  });

  it(`has no file of more than ${LINES_MAX} lines`, () => {
    const long = shipped
      .map((file) => ({ file, lines: linesOf(file).length - 1 }))
      .filter(({ lines }) => lines > LINES_MAX);
    expect(long).toEqual([]);
  });

  it('names its files in kebab-case', () => {
    const odd = [...shipped, ...tests].filter((file) => !/^([a-z0-9.-]+\/)*[a-z0-9]+([.-][a-z0-9]+)*\.ts$/.test(file));
    expect(odd).toEqual([]);
  });

  it('adds nothing to the root directory', () => {
    // What git would see: tracked files and new ones, not what is ignored.
    const options = { cwd: root, encoding: 'utf8' } as const;
    const files = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard'], options);
    const top = new Set(
      files
        .split('\n')
        .filter(Boolean)
        .map((file) => file.split('/')[0]),
    );
    expect([...top].filter((name) => !ROOT_ALLOWED.includes(name ?? ''))).toEqual([]);
  });

  it('exports every index that is meant for outsiders, and nothing else', () => {
    const { exports } = JSON.parse(readFileSync(`${root}/package.json`, 'utf8')) as {
      exports: Record<string, string | { types: string; default: string }>;
    };
    const targets = Object.values(exports).filter((target) => typeof target === 'object');
    const sources = targets.map((target) => target.default.replace(/^\.\/dist\/(.*)\.js$/, '$1.ts'));
    expect(targets.map(({ types }) => types)).toEqual(sources.map((file) => `./dist/${file.replace(/ts$/, 'd.ts')}`));
    expect(sources.filter((file) => !shipped.includes(file))).toEqual([]);
    const indexes = shipped.filter((file) => file.endsWith('/index.ts'));
    expect(sources.filter((file) => file.endsWith('/index.ts')).sort()).toEqual(indexes.sort());
  });

  it('names no download address and no machine in the lock file', () => {
    const lock = JSON.parse(readFileSync(`${root}/package-lock.json`, 'utf8')) as { packages: Record<string, object> };
    const resolved = Object.entries(lock.packages).filter(([, entry]) => 'resolved' in entry);
    expect(resolved.map(([name]) => name)).toEqual([]);
  });
});
