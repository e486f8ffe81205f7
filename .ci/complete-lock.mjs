// Completes package-lock.json. Packages with a binary per platform list all platforms as optional dependencies; npm
// leaves those out of the lock that the registry at hand does not serve, and `npm ci` of npm 11 then refuses the lock
// ("Missing: ... from lock file"). An entry that names version and platform is enough for it: a package for a foreign
// platform is never fetched. Run after every `npm install` that changed the lock; a second run changes nothing.
import { readFileSync, writeFileSync } from 'node:fs';

const path = new URL('../package-lock.json', import.meta.url);
const lock = JSON.parse(readFileSync(path, 'utf8'));

const OS = ['aix', 'android', 'darwin', 'freebsd', 'linux', 'netbsd', 'openbsd', 'openharmony', 'sunos', 'win32'];
const CPU = ['arm', 'arm64', 'ia32', 'loong64', 'mips64el', 'ppc64', 'riscv64', 's390x', 'wasm32', 'x64'];
const LIBC = [
  [/(^|-)gnu/, 'glibc'],
  [/(^|-)musl/, 'musl'],
];

/** What `name` runs on, read from the name. An unknown platform is one that no machine has: npm then skips it. */
const platformOf = (name) => {
  const words = name.split(/[-/@]/);
  const os = OS.find((each) => words.includes(each)) ?? 'none';
  const cpu = CPU.find((each) => words.includes(each)) ?? 'none';
  const libc = LIBC.find(([pattern]) => words.some((word) => pattern.test(word)))?.[1];
  return { cpu: [cpu], ...(libc && { libc: [libc] }), os: [os] };
};

/** The entry that Node's resolution would find for `name`, asked for from `parent`. */
const found = (parent, name) => {
  for (let at = parent; ; at = at.slice(0, Math.max(0, at.lastIndexOf('/node_modules/')))) {
    if (lock.packages[`${at}${at && '/'}node_modules/${name}`]) return true;
    if (at === '' || !at.includes('/node_modules/')) return Boolean(lock.packages[`node_modules/${name}`]);
  }
};

const added = [];
for (const [parent, entry] of Object.entries(lock.packages)) {
  for (const [name, range] of Object.entries(entry.optionalDependencies ?? {})) {
    if (found(parent, name)) continue;
    lock.packages[`node_modules/${name}`] = {
      version: range.replace(/^[\^~=v]+/, ''),
      ...platformOf(name),
      ...(entry.dev && { dev: true }),
      optional: true,
    };
    added.push(name);
  }
}

// This package brings its binaries along and says `gypfile: false`, so that nothing is compiled. The lock does not keep
// that word, and without it `npm ci` would start node-gyp, which needs Python and a compiler to do nothing at all.
for (const name of ['better-sqlite3']) {
  const entry = lock.packages[`node_modules/${name}`];
  if (entry) entry.gypfile = false;
}

const stripped = Object.values(lock.packages).filter((entry) => /^https?:/.test(entry.resolved ?? ''));
for (const entry of stripped) delete entry.resolved;

const keys = Object.keys(lock.packages).sort((a, b) => (a < b ? -1 : 1));
lock.packages = Object.fromEntries(keys.map((key) => [key, lock.packages[key]]));
writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
console.log(`package-lock.json: ${added.length} entries completed, ${stripped.length} addresses removed`);
for (const name of added) console.log(`  ${name}`);
