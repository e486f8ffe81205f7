/**
 * Where commands of a mailbox wait: in the work lane's queue, aside for an answer from elsewhere, or parked at the gate.
 */
import type { Command } from '../command.ts';

export class WaitingRoom {
  /** Work, in order. */
  readonly queue: Command[] = [];
  /** Control and reads that wait for a dependency or for the journal. No set: an empty one takes 230 bytes in each session. */
  readonly aside: Command[] = [];
  /** Everything that came while the gate was shut, in order of admission. */
  readonly parked: Command[] = [];

  get size(): number {
    return this.queue.length + this.aside.length + this.parked.length;
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

  /** @returns whether it stood there. */
  leaveAside(command: Command): boolean {
    return leave(this.aside, command);
  }

  withdraw(command: Command): void {
    for (const waiting of [this.queue, this.aside, this.parked]) leave(waiting, command);
  }
}

function leave(waiting: Command[], command: Command): boolean {
  const index = waiting.indexOf(command);
  if (index >= 0) waiting.splice(index, 1);
  return index >= 0;
}
