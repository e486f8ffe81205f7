/**
 * Records the journals of this release: `node test/history/record.ts RELEASE [SCENARIO...]` writes
 * `test/history/RELEASE/SCENARIO/{data/,expected.json}` and leaves those alone that are there. See README.md.
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import Database from 'better-sqlite3';
import { format } from 'prettier';
import { packageVersion } from '../../src/version.ts';
import { BOOTS_AFTER_MS, boot, entriesIn, sessionsOf } from './outcome.ts';
import type { Boot, Expected, Told } from './outcome.ts';
import type { Frame } from './line.ts';
import { scenarios } from './scenarios.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));
const [release, ...chosen] = process.argv.slice(2);
if (release === undefined) throw new Error('node test/history/record.ts RELEASE [SCENARIO...]');
const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: folder, encoding: 'utf8' }).trim();

for (const name of chosen.length > 0 ? chosen : Object.keys(scenarios)) {
  const target = join(folder, release, name);
  if (existsSync(target)) {
    console.log(`${release}/${name}: kept as it is`);
    continue;
  }
  const temporary = mkdtempSync(join(tmpdir(), 'troupe-record-'));
  const dataDir = join(temporary, 'data');
  const told: Told[] = [];
  const events: Frame[] = [];
  scenarios[name]!.lives.forEach((life, number) => {
    const toldFile = join(temporary, `told-${number}.json`);
    const { status, signal } = spawnSync(
      process.execPath,
      [join(folder, 'life.ts'), name, String(number), dataDir, toldFile],
      { stdio: 'inherit' },
    );
    if (life.end === 'kill' ? signal !== 'SIGKILL' : status !== 0) throw new Error(`${name}: it ended with ${status}`);
    const left = JSON.parse(readFileSync(toldFile, 'utf8')) as { told: Told[]; events: Frame[] };
    told.push(...left.told);
    events.push(...left.events);
  });
  const schemaVersion = schemaVersionOf(join(dataDir, 'journal.db'));
  const entries = await entriesIn(dataDir);
  const recordedAt = Math.max(...entries.map(({ at }) => at));
  const boots: Boot[] = [];
  for (const afterMs of BOOTS_AFTER_MS) {
    const { recoveredInFlightFailures, requeued } = boots[0]?.recovery ?? { recoveredInFlightFailures: 1, requeued: 0 };
    // Of a server that was stopped in order every boot makes the same.
    if (recoveredInFlightFailures + requeued > 0) boots.push(await boot(dataDir, recordedAt, afterMs, told));
  }
  const expected: Expected & { recordedBy: { commit: string } } = {
    recordedAt,
    recordedBy: { version: packageVersion, commit, schemaVersion },
    entries: entries.length,
    told,
    events,
    sessions: sessionsOf(entries),
    boots,
  };
  mkdirSync(target, { recursive: true });
  // The index of the log and the lock belong to a process.
  cpSync(dataDir, join(target, 'data'), { recursive: true, filter: (path) => !/(-shm|\/lock)$/.test(path) });
  const text = await format(JSON.stringify(expected), { parser: 'json', printWidth: 120 });
  writeFileSync(join(target, 'expected.json'), text);
  rmSync(temporary, { recursive: true });
  console.log(`${release}/${name}: ${entries.length} entries`);
}

/** Of a copy: to look is to leave files behind. */
function schemaVersionOf(file: string): number {
  const copy = mkdtempSync(join(tmpdir(), 'troupe-record-'));
  cpSync(file, join(copy, 'journal.db'));
  const database = new Database(join(copy, 'journal.db'));
  const version = database.pragma('user_version', { simple: true }) as number;
  database.close();
  rmSync(copy, { recursive: true });
  return version;
}
