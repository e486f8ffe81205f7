/**
 * A process that replays one session of a data directory again and again, as `troupe replay` does, and says what that took.
 * The directory, the session and the number of passes are its arguments.
 */
import type { Entry } from '../../actors/entry.ts';
import { pictureAt } from '../../actors/session/lane-fold.ts';
import { defaultConfig } from '../../src/config.ts';
import { DirectoryReader } from '../../src/journal/sqlite-reading.ts';

/** One pass, the opening of the journal included. */
export interface ReplayPass {
  readonly entries: number;
  readonly ms: number;
  /** Processor time, of all threads. */
  readonly micros: number;
}

const [dataDir = '', session = '', passes = '1'] = process.argv.slice(2);
const { mailboxDepthMax } = defaultConfig.limits;

async function pass(): Promise<ReplayPass> {
  let entries = 0;
  let removed = 0;
  const watch = {
    begun: () => undefined,
    folded: (entry: Entry) => {
      entries += 1;
      if (entry.blanked === true || entry.redacted === true) removed += 1;
    },
  };
  const startedAt = performance.now();
  const before = process.cpuUsage();
  const reader = new DirectoryReader(dataDir);
  const picture = await pictureAt(reader, session, { mailboxDepthMax }, watch);
  reader.close();
  const { user, system } = process.cpuUsage(before);
  const ms = performance.now() - startedAt;
  if ('missing' in picture || removed > 0) throw new Error(`session ${session} was not replayed as it was made`);
  return { entries, ms, micros: user + system };
}

const found: ReplayPass[] = [];
for (let index = 0; index < Number(passes); index += 1) found.push(await pass());
process.send?.(found);
process.disconnect?.();
