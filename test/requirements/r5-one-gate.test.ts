/**
 * R5: type check, lint and build are one required gate over the whole workspace. Every source is in reach of each of the
 * three, the gate fails when one of them has something to say, and what is merged has passed it. What both sides of the wire
 * rely on is one set of types, inferred from the schemas that the server's frames are tested with.
 */
import { execFile, execFileSync } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ESLint } from 'eslint';
import ts from 'typescript';
import { afterEach, beforeEach, describe, expect, expectTypeOf, it } from 'vitest';
import type { z } from 'zod';
import type { FrameCommand, FrameOutcome, OutgoingFrame, ResponseFrame } from '../../src/protocol/index.ts';
import type { outgoingFrame } from '../../src/protocol/index.ts';
import type { CommandRef, Frames } from '../../actors/ports.ts';
import type { Outcome } from '../../actors/message.ts';
import { frames } from '../../src/protocol/frames.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** What git would see: tracked files and new ones that still are there. */
const sources = execFileSync('git', ['ls-files', '--cached', '--others', '--exclude-standard', '*.ts'], { cwd: root })
  .toString()
  .split('\n')
  .filter((file) => file !== '' && ts.sys.fileExists(join(root, file)));

function filesOf(config: string): Set<string> {
  const path = join(root, config);
  const { options: _, fileNames } = ts.parseJsonConfigFileContent(
    ts.readConfigFile(path, (each) => ts.sys.readFile(each)).config,
    ts.sys,
    resolve(path, '..'),
  );
  return new Set(fileNames.map((file) => resolve(file)));
}

describe('R5, F2: one gate for types, lint and build', () => {
  it('R5: checks the types of every source', () => {
    const checked = filesOf('tsconfig.json');
    expect(sources.length).toBeGreaterThan(100);
    expect(sources.filter((file) => !checked.has(join(root, file)))).toEqual([]);
  });

  it('R5: builds every source that is shipped', () => {
    const built = filesOf('.config/tsconfig.build.json');
    const shipped = sources.filter((file) => /^(machines|actors|src)\//.test(file));
    expect(shipped.filter((file) => !built.has(join(root, file)))).toEqual([]);
    expect([...built].filter((file) => !shipped.includes(file.slice(root.length)))).toEqual([]);
  });

  it('R5: lints every source, with the rules that need types', { timeout: 60_000 }, async () => {
    const eslint = new ESLint({ cwd: root });
    const unlinted: string[] = [];
    for (const file of sources) {
      const config = (await eslint.calculateConfigForFile(file)) as { rules?: Record<string, [number]> } | undefined;
      if (config?.rules?.['@typescript-eslint/no-floating-promises']?.[0] !== 2) unlinted.push(file);
    }
    expect(unlinted).toEqual([]);
  });

  it('R5: is what every change has to pass', async () => {
    const read = (path: string): Promise<string> => readFile(join(root, path), 'utf8');
    const { scripts } = JSON.parse(await read('package.json')) as { scripts: Record<string, string> };
    expect(scripts['check']).toBe('node .ci/check.ts');
    expect(await read('.ci/run')).toMatch(/^ *step 'npm run check' \d+ npm run check$/m);
    const workflow = await read('.github/workflows/ci.yml');
    expect(workflow).toMatch(/^on: \[push, pull_request\]$/m);
    expect(workflow).toMatch(/^ +- run: bash \.ci\/run$/m);
    expect(workflow).not.toContain('continue-on-error');
  });
});

describe('R5, F2: the gate fails', { timeout: 120_000 }, () => {
  let copy: string;

  beforeEach(async () => {
    copy = await mkdtemp(join(tmpdir(), 'troupe-gate-'));
    for (const name of ['.ci/check.ts', '.ci/package.ts', '.config/tsconfig.build.json', 'tsconfig.json'])
      await cp(join(root, name), join(copy, name));
    for (const name of ['eslint.config.js', 'LICENSE', 'README.md']) await cp(join(root, name), join(copy, name));
    await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
    // The smallest tree that the three can work on: the gate's own scripts and one module.
    const target = { types: './dist/machines/planted.d.ts', default: './dist/machines/planted.js' };
    const manifest = { name: 'planted', version: '1.0.0', type: 'module', license: 'MIT', exports: { '.': target } };
    await writeFile(join(copy, 'package.json'), JSON.stringify({ ...manifest, files: ['dist'] }));
    await mkdir(join(copy, 'machines'));
  });

  afterEach(() => rm(copy, { recursive: true, force: true }));

  async function gate(): Promise<{ code: number; output: string }> {
    return new Promise((resolve) => {
      const arguments_ = ['.ci/check.ts', 'types', 'lint', 'package'];
      execFile(process.execPath, arguments_, { cwd: copy }, (error, stdout, stderr) => {
        resolve({ code: error === null ? 0 : Number(error.code ?? 1), output: `${stdout}${stderr}` });
      });
    });
  }

  const plant = (name: string, text: string): Promise<void> => writeFile(join(copy, 'machines', `${name}.ts`), text);

  it('R5: on a wrong type, on a promise that nobody waits for, on a declaration that cannot be written', async () => {
    await plant('planted', `export const planted: number = 'text';\n`);
    await plant('promise', `Promise.resolve();\nexport const promise = 1;\n`);
    await plant('declaration', `export const planted = class {\n  protected hidden = 1;\n};\n`);
    const { code, output } = await gate();
    expect(code, output).toBe(1);
    expect(output).toContain('check: 3 of 3 failed: ');
    const said = new Map(
      output.split(/^(?=FAILED )/m).map((part) => [/^FAILED (\w+)/.exec(part)?.[1] ?? '', part] as const),
    );
    expect(said.get('types')).toContain('machines/planted.ts(1,14): error TS2322');
    expect(said.get('lint')).toMatch(/machines\/promise\.ts\n +1:1 +error .* @typescript-eslint\/no-floating-promises/);
    expect(said.get('package')).toContain('machines/declaration.ts(1,14): error TS4094');
  });
});

describe('R5: the types of the wire', () => {
  it('R5: are those of the schemas, for the server that writes frames and for the client that reads them', () => {
    expectTypeOf<OutgoingFrame>().toEqualTypeOf<z.infer<typeof outgoingFrame>>();
    expectTypeOf<ResponseFrame>().toExtend<OutgoingFrame>();
    const port: Frames = frames;
    expect(port).toBe(frames);
    // The runtime's words and the wire's: neither may have a case that the other does not know.
    expectTypeOf<Outcome>().toExtend<FrameOutcome>();
    expectTypeOf<CommandRef>().toEqualTypeOf<FrameCommand>();
  });
});
