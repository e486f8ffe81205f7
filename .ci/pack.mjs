// Packs the package, installs it into an empty folder as a user would, without development dependencies, and uses all of it:
// the command, every subpath, the types. `files`, `bin` and `exports` are only known to be right once nothing but the
// package is there. Everything runs under the pinned Node; this script itself runs under any from 20 on.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, realpathSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { runInBrowserLikePlace } from './pack/browser.mjs';
import { importEach } from './pack/imports.mjs';
import { serveAndVerify } from './pack/sessions.mjs';
import { compileConsumer } from './pack/types.mjs';

const manifest = JSON.parse(readFileSync('package.json', 'utf8'));
const SHIPPED = ['README.md', 'CHANGELOG.md', 'SECURITY.md', 'LICENSE', 'package.json', 'dist/src/cli/main.js'];
const NOT_SHIPPED = /(^|\/)(test|node_modules|\.ci|\.config)\/|\.tsbuildinfo$|(?<!\.d)\.ts$/;

const home = mkdtempSync(join(tmpdir(), 'troupe-pack-'));
const user = join(home, 'user');
const bin = join(home, 'bin');
const run = (file, args, options = {}) => {
  // Of a script that is handed over as text, the reader needs no more than that there is one.
  const shown = args.map((each) => (each.includes('\n') ? 'SCRIPT' : each));
  console.log(`$ ${[file.split('/').pop(), ...shown].join(' ')}`);
  return execFileSync(file, args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'], ...options });
};

function pack() {
  const [{ filename, files, unpackedSize }] = JSON.parse(
    run('npm', ['pack', '--json', '--silent', '--pack-destination', home]),
  );
  console.log(`${filename}: ${files.length} files, ${unpackedSize} bytes`);
  const paths = files.map(({ path }) => path);
  const odd = paths.filter((path) => NOT_SHIPPED.test(path));
  if (odd.length > 0) throw new Error(`does not belong into the package: ${odd.join(', ')}`);
  const missing = SHIPPED.filter((path) => !paths.includes(path));
  if (missing.length > 0) throw new Error(`is missing in the package: ${missing.join(', ')}`);
  return join(home, filename);
}

async function lint(tarball) {
  const bytes = new Uint8Array(readFileSync(tarball));
  const { messages } = await publint({ pack: { tarball: bytes.buffer }, strict: true });
  if (messages.length > 0) throw new Error(messages.map((message) => formatMessage(message, manifest)).join('\n'));
}

/** A folder with the package in it, and a `PATH` on which `node` is the pinned one. */
function install(tarball) {
  mkdirSync(user);
  mkdirSync(bin);
  symlinkSync(realpathSync(join('node_modules', '.bin', 'node')), join(bin, 'node'));
  writeFileSync(join(user, 'package.json'), JSON.stringify({ name: 'user', private: true, type: 'module' }));
  run('npm', ['install', '--silent', tarball], { cwd: user });
  const env = { ...process.env, PATH: `${bin}${delimiter}${process.env.PATH}`, CI: 'true' };
  for (const name of Object.keys(env)) if (/^TROUPE_/i.test(name)) delete env[name];
  return { folder: user, env, node: join(bin, 'node'), run: (file, args) => run(file, args, { cwd: user, env }) };
}

try {
  const tarball = pack();
  await lint(tarball);
  const place = install(tarball);
  const printed = place.run('npx', ['--no-install', 'troupe', '--version']).trim();
  if (printed !== manifest.version) throw new Error(`troupe --version printed ${printed}, not ${manifest.version}`);
  await serveAndVerify(place);
  importEach(place, manifest.exports);
  runInBrowserLikePlace(place, 'troupe/protocol');
  compileConsumer(place, manifest.exports);
  console.log(
    `pack: troupe ${manifest.version} works where it is installed, under Node ${manifest.devDependencies.node}`,
  );
} catch (error) {
  console.error(`pack: ${error.stack}`);
  process.exitCode = 1;
} finally {
  rmSync(home, { recursive: true, force: true });
}
