/**
 * Keeps checkpoints, so that a boot reads what is new and not what ever was: every so many entries, and at a stop.
 *
 * One at a time, a part between two turns of the event loop. It is sealed when all that it shows is durable. One that could
 * not be kept is a line in the log and a count: the one before it is used, or none. State: volatile.
 */
import { writeHeader, writePart } from './checkpoint.ts';
import type { Router } from './router.ts';
import type { Runtime } from './runtime.ts';
import { SERVER_LANE } from './entry.ts';

/** The next one comes when this part of what it holds is new: what is written stays in proportion to what happens. */
const KEPT_AGAIN_PARTS = 4;
/** At a stop one is worth while unless the next boot has hardly anything to read: this part of what it would hold. */
const WORTH_AT_STOP_PARTS = 64;

export class Checkpointer {
  readonly #runtime: Runtime;
  readonly #router: Router;
  #keptAt = 0;
  /** Those that were there are not any more, nor what was written of the one under way. */
  #areGone = false;
  #running: Promise<void> | undefined;
  #closed = false;

  constructor(runtime: Runtime, router: Router) {
    this.#runtime = runtime;
    this.#router = router;
  }

  /** The newest one that is there stands for this offset. */
  resume(offset: number): void {
    this.#keptAt = offset;
  }

  /** Everything up to `offset` is durable. */
  notice(offset: number): void {
    if (offset - this.#keptAt < this.#runtime.limits.checkpointEvery || this.#running !== undefined) return;
    if (this.#router.phase === 'open' && offset - this.#keptAt >= this.#size / KEPT_AGAIN_PARTS) void this.#keep();
  }

  /** All that was kept up to now has been removed, with what it showed. */
  dropped(): void {
    this.#areGone = true;
  }

  /** Nothing is recorded any more: the next boot reads nothing but this. */
  async stop(): Promise<void> {
    await this.#running;
    const news = this.#runtime.writer.offset - this.#keptAt;
    if (this.#areGone || news * WORTH_AT_STOP_PARTS > this.#size) await this.#keep();
  }

  /** Its core is given up. */
  close(): void {
    this.#closed = true;
  }

  get #size(): number {
    return this.#runtime.deduplication.size + this.#router.directory.sessionCount;
  }

  #keep(): Promise<void> {
    const { counters, telemetry } = this.#runtime;
    const offset = this.#runtime.writer.offset;
    this.#keptAt = offset;
    this.#running = this.#write(offset)
      .catch((error: unknown) => {
        if (this.#closed) return;
        counters.checkpoints.failed += 1;
        const text = error instanceof Error ? error.message : String(error);
        telemetry.observe({ level: 'warn', message: 'checkpoint not kept', error: text, offset });
      })
      .finally(() => {
        this.#running = undefined;
      });
    return this.#running;
  }

  async #write(offset: number): Promise<void> {
    const { counters, deduplication, expired, journal, limits, releases, writer } = this.#runtime;
    const boot = this.#router.outcomes.boot;
    const serverLaneSeq = writer.laneSeq(SERVER_LANE) ?? 0;
    const header = writeHeader({ boot, serverLaneSeq, open: [...writer.open], outcomes: writer.outcomes }, limits);
    let parts = 0;
    this.#areGone = false;
    for (const exported of [deduplication.export(), this.#router.directory.export(), expired.export()]) {
      for (const part of exported) {
        parts += 1;
        await journal.keepPart(offset, parts, writePart(part));
        if (this.#closed) return;
      }
    }
    await releases.passed(writer.newestBatch);
    if (this.#areGone) throw new Error('its first parts were removed by a purge');
    await journal.sealCheckpoint({ offset, header, parts });
    counters.checkpoints.kept += 1;
  }
}
