/**
 * Builds what is shipped, beside the tree, and holds the manifest against it: every subpath has its file and its types, and
 * publint finds nothing to say. A declaration that cannot be written fails here and nowhere before. `.ci/pack.mjs` goes on
 * from there: it installs the package and uses it.
 */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const manifest = JSON.parse(readFileSync('package.json', 'utf8')) as { exports: Record<string, unknown> };
const folder = mkdtempSync(join(tmpdir(), 'troupe-package-'));
try {
  const compiler = join('node_modules', 'typescript', 'lib', 'tsc.js');
  const places = ['--outDir', join(folder, 'dist'), '--tsBuildInfoFile', join(folder, 'dist', '.tsbuildinfo')];
  const build = [compiler, '-p', '.config/tsconfig.build.json', '--pretty', 'false', ...places];
  execFileSync(process.execPath, build, { stdio: 'inherit' });
  for (const file of ['package.json', 'README.md', 'LICENSE']) copyFileSync(file, join(folder, file));
  const { messages } = await publint({ pkgDir: folder, strict: true, pack: false });
  for (const message of messages) console.error(formatMessage(message, manifest));
  console.log(`package: ${Object.keys(manifest.exports).length} subpaths, ${messages.length} problems`);
  process.exitCode = messages.length === 0 ? 0 : 1;
} catch (error) {
  // What is wrong has been printed by the compiler.
  if (!(error instanceof Error && 'status' in error)) throw error;
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
