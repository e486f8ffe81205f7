/**
 * Finds the newest checkpoint that a boot can begin with. One that is damaged or of another fold is passed over, with a line in
 * the log: then the one before it is used, or everything is folded. Nothing is taken over from one that does not read as a whole. State: none.
 */
import { readHeader, readPart } from './checkpoint.ts';
import type { CheckpointHeader, CheckpointPart } from './checkpoint.ts';
import type { CommandAccepted } from './entry.ts';
import type { CheckpointHead } from './ports.ts';
import type { Runtime } from './runtime.ts';

export interface LoadedCheckpoint {
  readonly offset: number;
  readonly header: CheckpointHeader;
  readonly parts: readonly CheckpointPart[];
  /** Of the commands that are open, as the journal has them: the checkpoint holds no content. */
  readonly accepted: readonly CommandAccepted[];
}

/** Read side by side. */
const READ_AT_ONCE = 16;

type Surroundings = Pick<Runtime, 'journal' | 'limits' | 'telemetry' | 'counters'>;

/** @throws what the journal can't be asked for. */
export async function loadCheckpoint(runtime: Surroundings): Promise<LoadedCheckpoint | undefined> {
  const { counters, journal, telemetry } = runtime;
  let heads: readonly CheckpointHead[];
  try {
    heads = await journal.checkpoints();
  } catch (error) {
    passOver(0, error);
    return undefined;
  }
  for (const head of heads) {
    try {
      return await load(runtime, head);
    } catch (error) {
      passOver(head.offset, error);
    }
  }
  return undefined;

  function passOver(offset: number, error: unknown): void {
    counters.checkpoints.unfit += 1;
    const reason = error instanceof Error ? error.message : String(error);
    telemetry.observe({ level: 'warn', message: 'checkpoint passed over', offset, reason });
  }
}

async function load({ journal, limits }: Surroundings, head: CheckpointHead): Promise<LoadedCheckpoint> {
  const { offset } = head;
  const header = readHeader(head.header, limits);
  if (typeof header === 'string') throw new Error(header);
  const numbers = Array.from({ length: head.parts }, (_, index) => index + 1);
  const parts = await each(numbers, async (part) => readPart(await journal.checkpointPart(offset, part)));
  const accepted = await each(header.open, async ([place]) => {
    const entry = (await journal.read(place))?.entry;
    if (entry?.kind !== 'command.accepted') throw new Error(`no command was accepted at offset ${place}`);
    return entry;
  });
  return { offset, header, parts, accepted };
}

/** In order, a few at once. */
async function each<Item, Answer>(items: readonly Item[], ask: (item: Item) => Promise<Answer>): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let from = 0; from < items.length; from += READ_AT_ONCE) {
    answers.push(...(await Promise.all(items.slice(from, from + READ_AT_ONCE).map(ask))));
  }
  return answers;
}
