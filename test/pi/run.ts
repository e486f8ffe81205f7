/**
 * `npm run test:pi`: everything that needs the real pi, which is no dependency and installed in a folder outside of the tree.
 *
 * The folder is kept for the next run, under the version's name below the system's temporary folder. The models' provider
 * is a local endpoint; nothing of the user's own pi is read. Ends with `N passed, N failed`, and non-zero unless all passed.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, lstatSync, mkdirSync, mkdtempSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir, userInfo } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { startVitest } from 'vitest/node';

const PACKAGE = '@earendil-works/pi-coding-agent';
const VERSION = '0.87.1';
const INSTALL_MS_MAX = 600_000;
const PROGRESS_MS = 10_000;

const say = (text: string): void => void process.stdout.write(`test:pi: ${text}\n`);

try {
  process.env['TROUPE_PI_PATH'] = await installed();
  process.exitCode = (await runTests()) ? 0 : 1;
} catch (error) {
  say(`failed: ${(error as Error).message}`);
  console.log('0 passed, 1 failed');
  process.exitCode = 1;
}

/** The folder with pi in it, from an earlier run or from now on. */
async function installed(): Promise<string> {
  const folder = join(tmpdir(), `troupe-test-pi-${VERSION}-${userInfo().uid}`);
  if (existsSync(join(folder, 'node_modules', PACKAGE, 'package.json'))) {
    // Its code is about to run as this user: nobody else may have put it there.
    if (process.platform !== 'win32' && lstatSync(folder).uid !== userInfo().uid) {
      throw new Error(`${folder} belongs to another user: remove it`);
    }
    say(`pi ${VERSION} is in ${folder}`);
    return folder;
  }
  // Moved to its name when it is complete: an interrupted install must not look like one.
  const draft = mkdtempSync(join(tmpdir(), 'troupe-test-pi-draft-'));
  try {
    await install(draft);
    rmSync(folder, { recursive: true, force: true });
    renameSync(draft, folder);
  } finally {
    rmSync(draft, { recursive: true, force: true });
  }
  return folder;
}

async function install(folder: string): Promise<void> {
  say(`installing pi ${VERSION} outside of the tree (about 120 packages, 150 MB)`);
  writeFileSync(join(folder, 'package.json'), '{"private":true}');
  const args = ['install', '--prefix', folder, '--ignore-scripts', '--no-audit', '--no-fund', `${PACKAGE}@${VERSION}`];
  const npm = spawn('npm', args, {
    cwd: folder,
    stdio: ['ignore', 'inherit', 'inherit'],
    shell: process.platform === 'win32',
    timeout: INSTALL_MS_MAX,
  });
  const began = Date.now();
  const progress = setInterval(
    () => say(`still installing, ${Math.round((Date.now() - began) / 1000)} s`),
    PROGRESS_MS,
  );
  try {
    const [code, signal] = (await once(npm, 'exit')) as [number | null, string | null];
    if (code !== 0) throw new Error(`npm install of ${PACKAGE}@${VERSION} ended with ${code ?? signal}`);
  } finally {
    clearInterval(progress);
  }
  say(`installed in ${Math.round((Date.now() - began) / 1000)} s`);
}

async function runTests(): Promise<boolean> {
  const home = mkdtempSync(join(tmpdir(), 'troupe-test-pi-home-'));
  mkdirSync(join(home, '.pi'));
  Object.assign(process.env, { HOME: home, USERPROFILE: home });
  delete process.env['PI_CODING_AGENT_DIR'];
  try {
    const vitest = await startVitest('test', process.argv.slice(2), {
      root: fileURLToPath(new URL('../..', import.meta.url)),
      config: false,
      watch: false,
      include: ['test/pi/**/*.test.ts'],
      exclude: [],
      pool: 'forks',
      // Real processes and a real SDK: one after the other they are steady on a small machine.
      fileParallelism: false,
      testTimeout: 120_000,
      hookTimeout: 120_000,
      reporters: ['verbose'],
    });
    const modules = vitest.state.getTestModules();
    const tests = modules.flatMap((module) => [...module.children.allTests()]);
    const passed = tests.filter((test) => test.result().state === 'passed').length;
    const broken = modules.flatMap((module) => module.errors()).length + vitest.state.getUnhandledErrors().length;
    const failed = tests.length - passed + broken;
    await vitest.close();
    console.log(`${passed} passed, ${failed} failed`);
    return failed === 0 && passed > 0;
  } finally {
    rmSync(home, { recursive: true, force: true });
  }
}
