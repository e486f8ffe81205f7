// Every subpath of the exports map, imported by itself in a process of its own: it has to be there, and to load no package
// but those that it needs. The list of subpaths is the map's own; one that is not named here is refused.
const LOADS = {
  '.': ['better-sqlite3', 'mitt', 'ws', 'xstate', 'zod'],
  './protocol': ['zod'],
  './machines': ['xstate'],
  './actors': ['xstate'],
  './testing': ['xstate'],
  './journal/sqlite': ['better-sqlite3'],
  './journal/memory': [],
  './engines/echo': ['zod'],
  './engines/scripted': ['zod'],
  './engines/pi': ['zod'],
  './transports/websocket': ['ws'],
  './transports/stdio': [],
};

/** These need the test runner, an optional peer that this user does not have, and must say so. */
const NEEDS_RUNNER = ['./testing/conformance'];

/** Prints the packages that the import of `specifier` loaded, or the error's first line. */
const script = (specifier) => `
  import { registerHooks } from 'node:module';
  const packages = new Set();
  registerHooks({
    load(url, context, next) {
      const found = [...url.matchAll(/\\/node_modules\\/((?:@[^/]+\\/)?[^/]+)/g)].at(-1)?.[1];
      if (found !== undefined && found !== 'troupe') packages.add(found);
      return next(url, context);
    },
  });
  const { names, error } = await import(${JSON.stringify(specifier)}).then(
    (module) => ({ names: Object.keys(module) }),
    (error) => ({ error: error.message.split('\\n')[0] }),
  );
  console.log(JSON.stringify({ names, error, packages: [...packages].sort() }));
`;

export function importEach({ node, run }, exports) {
  const subpaths = Object.keys(exports).filter((subpath) => !subpath.endsWith('.json'));
  const stale = [...Object.keys(LOADS), ...NEEDS_RUNNER].filter((subpath) => !subpaths.includes(subpath));
  if (stale.length > 0) throw new Error(`the exports map has no ${stale.join(', ')}: remove it from this script`);
  for (const subpath of subpaths) {
    const specifier = subpath.replace('.', 'troupe');
    const { names, error, packages } = JSON.parse(run(node, ['--input-type=module', '-e', script(specifier)]));
    if (NEEDS_RUNNER.includes(subpath)) {
      if (!error?.includes("'vitest'")) throw new Error(`${specifier} does not say that it needs vitest: ${error}`);
      continue;
    }
    if (error !== undefined) throw new Error(`${specifier} cannot be imported: ${error}`);
    if (names.length === 0) throw new Error(`${specifier} exports nothing`);
    const allowed = LOADS[subpath];
    if (allowed === undefined) throw new Error(`${specifier} is new: say in this script what it may load`);
    const surplus = packages.filter((name) => !allowed.includes(name));
    if (surplus.length > 0) throw new Error(`${specifier} loads ${surplus.join(', ')}, which it does not need`);
    console.log(`${specifier}: ${names.length} names; loads ${packages.join(', ') || 'no package'}`);
  }
}
