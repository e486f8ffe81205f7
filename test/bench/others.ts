/**
 * What else the machine did while a run was made: a run in company is no measurement, and looks like one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { cpus } from 'node:os';

interface Mark {
  /** Clock ticks in which a processor was busy, or was taken away by the host. */
  readonly busy: number;
  /** Those of this process and its children, the ended ones included. */
  readonly own: number;
  readonly at: number;
}

const TICKS_PER_SECOND = 100;

/** @returns the share of all processors that others took since then; undefined where the system does not tell. */
export function watchOthers(): () => number | undefined {
  const from = mark();
  return () => {
    const to = mark();
    if (from === undefined || to === undefined) return undefined;
    const ticks = ((to.at - from.at) / 1_000) * TICKS_PER_SECOND * cpus().length;
    return Math.max(0, (to.busy - from.busy - (to.own - from.own)) / ticks);
  };
}

function mark(): Mark | undefined {
  try {
    const [user, nice, system, , , interrupts, softInterrupts, stolen] = numbers(
      readFileSync('/proc/stat', 'latin1')
        .split('\n', 1)[0]!
        .replace(/^cpu +/, ''),
    );
    const busy = user! + nice! + system! + interrupts! + softInterrupts! + stolen!;
    return { busy, own: ownTicks(), at: performance.now() };
  } catch {
    return undefined;
  }
}

function ownTicks(): number {
  let own = 0;
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const [parent, ticks] = ticksOf(name);
    if (Number(name) === process.pid || parent === process.pid) own += ticks;
  }
  return own;
}

/** The parent of a process, and what it and its ended children took. */
function ticksOf(pid: string): readonly [parent: number, ticks: number] {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
    // The name in brackets may hold blanks. Behind it: state, parent, ... and from the 12th on the four times.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    const [user, system, childrenUser, childrenSystem] = fields.slice(11, 15).map(Number);
    return [Number(fields[1]), user! + system! + childrenUser! + childrenSystem!];
  } catch {
    return [0, 0];
  }
}

const numbers = (text: string): number[] => text.split(' ').map(Number);
