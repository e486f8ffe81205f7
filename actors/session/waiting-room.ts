/**
 * Where commands of a mailbox wait: in the work lane's queue, aside for an answer from elsewhere, or parked at the gate.
 */
import type { Command } from '../command.ts';

export class WaitingRoom {
  /** Work, in order. */
  readonly queue: Command[] = [];
  /** Control and reads that wait for a dependency or for the journal. */
  readonly aside = new Set<Command>();
  /** Everything that came while the gate was shut, in order of admission. */
  readonly parked: Command[] = [];

  get size(): number {
    return this.queue.length + this.aside.size + this.parked.length;
  }

  /** The first of the work that has no outcome. */
  head(): Command | undefined {
    while (this.queue[0]?.outcome !== undefined) this.queue.shift();
    return this.queue[0];
  }

  /** All that wait, work first. */
  all(): Command[] {
    return [...this.queue, ...this.aside, ...this.parked];
  }

  withdraw(command: Command): void {
    this.aside.delete(command);
    for (const waiting of [this.queue, this.parked]) {
      const index = waiting.indexOf(command);
      if (index >= 0) waiting.splice(index, 1);
    }
  }
}
