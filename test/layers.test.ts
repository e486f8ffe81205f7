/**
 * The layer check itself, tried on a copy of the tree: it must see what is planted there, and must not trust a cruise that
 * saw less than the disk holds.
 */
import { execFile } from 'node:child_process';
import { cp, mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const root = fileURLToPath(new URL('..', import.meta.url));
const COPIED = ['machines', 'actors', 'src', '.ci', '.config', 'package.json', 'tsconfig.json'];

let copy: string;

beforeEach(async () => {
  copy = await mkdtemp(join(tmpdir(), 'troupe-layers-'));
  for (const name of COPIED) await cp(join(root, name), join(copy, name), { recursive: true });
  await symlink(join(root, 'node_modules'), join(copy, 'node_modules'));
});

afterEach(() => rm(copy, { recursive: true, force: true }));

async function plant(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(copy, path)), { recursive: true });
  await writeFile(join(copy, path), text);
}

interface Verdict {
  code: number;
  output: string;
}

function check(): Promise<Verdict> {
  return new Promise((resolve) => {
    execFile(process.execPath, ['.ci/layers.ts'], { cwd: copy }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code ?? 1) : 0, output: `${stdout}${stderr}` });
    });
  });
}

const FORBIDDEN = [
  ['layer-machines', 'machines/planted.ts', `import '../actors/planted-target.ts';`],
  ['layer-machines', 'machines/planted-clock.ts', `import { hrtime } from 'node:process';\nexport { hrtime };`],
  ['layer-machines', 'machines/planted-package.ts', `import { z } from 'zod';\nexport { z };`],
  ['layer-actors', 'actors/planted.ts', `import '../src/planted-target.ts';`],
  ['layer-actors', 'actors/planted-lazily.ts', `export const load = () => import('../src/planted-target.ts');`],
  ['layer-protocol', 'src/protocol/planted.ts', `import { readFile } from 'node:fs';\nexport { readFile };`],
  ['layer-client', 'src/client/planted.ts', `import '../../actors/planted-target.ts';`],
  ['layer-commands', 'src/commands/planted.ts', `import '../../actors/planted-target.ts';`],
  ['layer-journal', 'src/journal/planted.ts', `import '../transports/planted-target.ts';`],
  ['layer-engines', 'src/engines/planted.ts', `import '../../machines/planted-target.ts';`],
  ['layer-transports', 'src/transports/planted.ts', `import '../planted-target.ts';`],
  ['layer-unknown', 'src/planted/new-folder.ts', `import '../planted-target.ts';`],
  ['vendor-better-sqlite3', 'src/cli/planted.ts', `import Database from 'better-sqlite3';\nexport { Database };`],
  ['vendor-ws', 'src/testing/planted.ts', `import type { WebSocket } from 'ws';\nexport type Socket = WebSocket;`],
  ['vitest-only-in-testing', 'src/cli/planted-runner.ts', `import { it } from 'vitest';\nexport { it };`],
  ['shipped-needs-dependency', 'src/cli/planted-dev.ts', `import { parse } from 'prettier';\nexport { parse };`],
  ['unresolvable', 'src/cli/planted-missing.ts', `import './nowhere.ts';`],
  ['no-cycles', 'src/protocol/planted-a.ts', `import type { B } from './planted-b.ts';\nexport type A = B | 1;`],
] as const;

const TARGETS = ['machines', 'actors', 'src', 'src/transports'].map((folder) => `${folder}/planted-target.ts`);

describe('the layer check', () => {
  it('reports every kind of forbidden import, with the file that has it', { timeout: 60_000 }, async () => {
    for (const target of TARGETS) await plant(target, 'export const planted = 1;\n');
    for (const [, path, text] of FORBIDDEN) await plant(path, `${text}\n`);
    await plant('src/protocol/planted-b.ts', `import type { A } from './planted-a.ts';\nexport type B = A | 2;\n`);

    const { code, output } = await check();

    expect(code, output).toBe(1);
    for (const [rule, path] of FORBIDDEN) expect(output).toContain(`${rule}: ${path} -> `);
  });

  it('fails when the cruise saw fewer modules than the tree has', { timeout: 60_000 }, async () => {
    await plant('machines/planted-unseen.ts', 'export const planted = 1;\n');
    const script = join(copy, '.ci/layers.ts');
    const text = await readFile(script, 'utf8');
    const narrowed = text.replace('exclude: { path: NOT_OURS }', `exclude: { path: 'planted-unseen' }`);
    expect(narrowed, 'the exclusion that this test widens is gone').not.toBe(text);
    await writeFile(script, narrowed);

    const { code, output } = await check();

    expect(code, output).toBe(1);
    expect(output).toContain('unseen: machines/planted-unseen.ts');
  });
});
