/** `troupe export --as test`: what it writes is a test that vitest runs, green as it is and red when an expectation is another. */
import { execFile } from 'node:child_process';
import { cpSync, existsSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { Workplace } from './troupe-process.ts';

// Every test starts processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const root = fileURLToPath(new URL('../..', import.meta.url));

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
  cpSync(join(root, 'test/history/0.1.0-schema-1/conversation/data'), place.path('data'), { recursive: true });
});
afterEach(() => place.clear());

const write = (name: string, ...options: string[]) =>
  place.end(['export', '--data-dir', 'data', '--as', 'test', '--out', name, ...options]);

/** The sources stand where the installed package would. */
function runTest(name: string): Promise<{ code: number; output: string }> {
  const alias = { 'troupe/testing': join(root, 'src/testing/index.ts') };
  const config = { resolve: { alias }, test: { include: [name], cache: false } };
  writeFileSync(place.path('vitest.config.mjs'), `export default ${JSON.stringify(config)};\n`);
  if (!existsSync(place.path('node_modules'))) symlinkSync(join(root, 'node_modules'), place.path('node_modules'));
  return new Promise((resolve) => {
    const cli = join(root, 'node_modules/vitest/vitest.mjs');
    execFile(process.execPath, [cli, 'run', '--root', place.folder], { cwd: place.folder }, (error, stdout, stderr) =>
      resolve({ code: error === null ? 0 : Number(error.code), output: stdout + stderr }),
    );
  });
}

it('writes a test that is green, imports the package alone, and notices any other outcome or event', async () => {
  const { code, stdout, stderr } = await write('window.test.ts');
  expect([code, stderr]).toEqual([0, '']);
  expect(stdout).toMatch(/window\.test\.ts: a test of 40 commands\n$/);
  const text = readFileSync(place.path('window.test.ts'), 'utf8');
  const imports = [...text.matchAll(/^import .* from '(.*)';$/gm)].map(([, from]) => from);
  expect(new Set(imports)).toEqual(new Set(['vitest', 'troupe/testing']));
  // Refusals, aborts, timeouts and events of turns are among it.
  for (const part of ['VERSION_MISMATCH', 'COMMAND_ABORTED', 'COMMAND_TIMEOUT', 'agent_end'])
    expect(text).toContain(part);
  expect(await runTest('window.test.ts')).toMatchObject({ code: 0 });

  const [head = '', expected = ''] = text.split('const expected');
  for (const [before, after] of [
    ['"errorCode": "COMMAND_ABORTED"', '"errorCode": "COMMAND_TIMEOUT"'],
    ['"sessionVersion": 1', '"sessionVersion": 2'],
    ['"agent_end"', '"agent_start"'],
  ] as const) {
    const changed = expected.replace(before, after);
    expect(changed).not.toBe(expected);
    writeFileSync(place.path('changed.test.ts'), `${head}const expected${changed}`);
    const { code: failed, output } = await runTest('changed.test.ts');
    expect([before, failed]).toEqual([before, 1]);
    expect(output).toMatch(/AssertionError/);
  }
});

it('names what cannot be run again, with the reason', async () => {
  const config = place.path('troupe.json');
  writeFileSync(config, JSON.stringify({ redaction: { keys: [], patterns: ['renamed'] } }));
  expect((await write('redacted.test.ts', '--session', 'a', '--config', config)).code).toBe(0);
  const redacted = readFileSync(place.path('redacted.test.ts'), 'utf8');
  expect(redacted).toContain(' * - set_session_name name: was redacted: what it asked for is not all there\n');
  expect(redacted).toMatch(/ \* - \w+ .*: comes behind one of session a that is left out\n/);
  expect(redacted.slice(redacted.indexOf('const recorded'))).not.toMatch(/renamed/);

  const journal = createSqliteJournal({ dataDir: place.path('data') });
  const { offset } = await journal.open();
  await journal.blank({ through: offset, lane: 'session:a' });
  await journal.close();
  const blanked = await write('blanked.test.ts', '--session', 'a');
  expect(blanked.code).toBe(1);
  expect(blanked.stderr).toMatch(/^troupe: nothing of that window can be run again: .*was blanked: .*\n$/);
  expect(existsSync(place.path('blanked.test.ts'))).toBe(false);

  cpSync(join(root, 'test/history/0.1.0-schema-1/killed/data'), place.path('data'), { recursive: true, force: true });
  expect((await write('killed.test.ts')).code).toBe(0);
  const killed = readFileSync(place.path('killed.test.ts'), 'utf8');
  expect(killed).toContain(' * - prompt cut: was ended by a start of the server (started)\n');
  expect(killed).toContain(' * - prompt im Flug ✈: has no outcome in this window\n');
});

it('knows no other form', async () => {
  const { code, stderr } = await place.end(['export', '--data-dir', 'data', '--as', 'story', '--out', 'x']);
  expect([code, stderr]).toEqual([2, 'troupe: --as must be lines or test\n']);
});
