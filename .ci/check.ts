/**
 * `npm run check`: every static check, each reported even when an earlier one failed, two at a time.
 * `npm run check -- lint types` runs those alone.
 */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';

const CHECKS: Record<string, string> = {
  types: 'tsc -p tsconfig.json',
  // Not cached: its rules ask for types, and a change in one file changes what is true in another.
  lint: 'eslint --max-warnings 0 .',
  format: 'prettier --check --log-level warn --cache "**/*.{ts,mjs,js,json,yml,html,css}"',
  layers: 'node .ci/layers.ts',
  package: 'node .ci/package.ts',
  dead: 'knip --no-progress --cache --cache-location node_modules/.cache/knip',
};

const wanted = process.argv.slice(2);
const unknown = wanted.filter((name) => !(name in CHECKS));
if (unknown.length > 0) {
  console.error(`check: no such check: ${unknown.join(', ')} (there are: ${Object.keys(CHECKS).join(', ')})`);
  process.exit(2);
}

async function run(name: string, command: string): Promise<boolean> {
  const startedAt = performance.now();
  const child = spawn(command, {
    shell: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, NO_COLOR: '1' },
  });
  const chunks: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => chunks.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => chunks.push(chunk));
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve));
  const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
  console.log(`${code === 0 ? 'ok    ' : 'FAILED'} ${name.padEnd(8)} ${seconds.padStart(5)} s`);
  if (code !== 0) console.log(Buffer.concat(chunks).toString('utf8').replace(/^/gm, '  ').trimEnd());
  return code === 0;
}

const queue = Object.entries(CHECKS).filter(([name]) => wanted.length === 0 || wanted.includes(name));
const failed: string[] = [];
async function work(): Promise<void> {
  for (let next = queue.shift(); next; next = queue.shift()) if (!(await run(...next))) failed.push(next[0]);
}
const total = queue.length;
await Promise.all(Array.from({ length: Math.min(2, availableParallelism()) }, work));

console.log(
  failed.length === 0
    ? `check: all ${total} passed`
    : `check: ${failed.length} of ${total} failed: ${failed.join(', ')}`,
);
process.exitCode = failed.length === 0 ? 0 : 1;
