// Packs the package, installs it as a user would, without development dependencies, and runs its command: `files`, `bin`
// and `exports` are only known to be right once nothing but the package is there.
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const { version, exports = {}, devDependencies } = manifest;
const pinned = join(process.cwd(), 'node_modules', '.bin', 'node');
const home = mkdtempSync(join(tmpdir(), 'troupe-pack-'));
const run = (file, args, cwd) => {
  console.log(`$ ${[file.split('/').pop(), ...args].join(' ')}`);
  return execFileSync(file, args, { cwd, encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] });
};

try {
  const [{ filename, files, unpackedSize }] = JSON.parse(
    run('npm', ['pack', '--json', '--silent', '--pack-destination', home]),
  );
  console.log(`${filename}: ${files.length} files, ${unpackedSize} bytes`);
  const odd = files.map(({ path }) => path).filter((path) => /(^|\/)(test|node_modules|\.ci|\.config)\//.test(path));
  if (odd.length > 0) throw new Error(`does not belong into the package: ${odd.join(', ')}`);

  const tarball = readFileSync(join(home, filename));
  const { messages } = await publint({ pack: { tarball: new Uint8Array(tarball).buffer }, strict: true });
  if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, manifest)).join('\n'));

  writeFileSync(join(home, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  run('npm', ['install', '--silent', join(home, filename)], home);

  const main = join(home, 'node_modules', 'troupe', 'dist', 'src', 'cli', 'main.js');
  const printed = run(pinned, [main, '--version'], home).trim();
  if (printed !== version) throw new Error(`troupe --version printed ${printed}, not ${version}`);

  // ./testing asks for the test runner, an optional peer that this user does not have.
  const paths = Object.keys(exports).filter((path) => !/\*|[.]json$|^[.]\/testing$/.test(path));
  const imports = paths.map((path) => `await import(${JSON.stringify(path.replace('.', 'troupe'))});`);
  run(pinned, ['--input-type=module', '-e', imports.join('\n')], home);
  console.log(`troupe ${version} runs under Node ${devDependencies.node}; imported: ${paths.join(' ') || 'nothing'}`);
} catch (error) {
  console.error(`pack: ${error.message}`);
  process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}
