/**
 * A process that uses a journal, to be refused, killed or starved by a test: `node journal-process.ts DIR append|open|again`.
 *
 * It says on stdout, one line each, what happened: `opened OFFSET`, `committed OFFSET`, `refused TEXT`, `failed TEXT`,
 * `read COUNT`. With `append` it goes on until it is killed or a batch fails. With `again` it then opens the journal again
 * for each line on stdin, until that succeeds and a last batch is committed.
 */
import { JournalRefused } from '../../actors/ports.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { commit, everything } from '../../src/testing/journal-under-test.ts';
import { EntrySource } from '../../src/testing/entry-source.ts';

const LANES = Array.from({ length: 20 }, (_, index) => `session:s${index}`);
/** Not a divisor of anything: transactions of many sizes. */
const BATCH = 17;
const UNDER_WAY = 5;

const [dataDir = '', task] = process.argv.slice(2);
const say = (line: string): void => void process.stdout.write(`${line}\n`);

const journal = createSqliteJournal({ dataDir });
try {
  const { offset } = await journal.open();
  say(`opened ${offset}`);
  if (task !== 'open') await appendUntilItFails();
  if (task === 'again') await goOn();
  if (task === 'open') await new Promise((resolve) => process.stdin.once('data', resolve));
} catch (error) {
  if (!(error instanceof JournalRefused)) throw error;
  say(`refused ${error.message}`);
}
await journal.close();

async function appendUntilItFails(): Promise<void> {
  const source = new EntrySource((await everything(journal)).map(({ entry }) => entry));
  const append = async (): Promise<void> => {
    for (;;) {
      const batch = source.batch(BATCH, ...LANES);
      await commit(journal, batch);
      say(`committed ${batch.at(-1)?.offset}`);
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: UNDER_WAY }, append));
  for (const end of ended) if (end.status === 'rejected') say(`failed ${(end.reason as Error).message}`);
  say(`read ${(await everything(journal)).length}`);
}

async function goOn(): Promise<void> {
  for (;;) {
    await new Promise((resolve) => process.stdin.once('data', resolve));
    try {
      say(`opened ${(await journal.open()).offset}`);
      break;
    } catch (error) {
      if (!(error instanceof JournalRefused)) throw error;
      say(`refused ${error.message}`);
    }
  }
  const batch = new EntrySource((await everything(journal)).map(({ entry }) => entry)).batch(BATCH, ...LANES);
  await commit(journal, batch);
  say(`committed ${batch.at(-1)?.offset}`);
  process.stdin.destroy();
}
