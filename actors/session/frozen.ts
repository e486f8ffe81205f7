/** What is left of a mailbox that was given up, for the one that takes its place. State: none. */
import type { Command } from '../command.ts';
import type { TurnRun } from './turn-run.ts';

/** What a mailbox that is given up hands to the one that takes its place. */
export interface Frozen {
  /** What has no outcome or was not told of it, in order. */
  readonly commands: readonly Command[];
  /** The one that acted when the defect showed. */
  readonly acting: Command | undefined;
  /** The engine that has not let go. */
  readonly run: TurnRun | undefined;
}

/**
 * The order in which commands go on. `acting` showed the defect: at the head of its lane it is the first of those that wait; in
 * the middle of its admission it is the last, but ahead of those at a gate that it was let in through.
 */
export function orderOf(
  acting: Command | undefined,
  pending: readonly Command[],
  parked: readonly Command[],
  gateIsOpen: boolean,
): readonly Command[] {
  if (acting === undefined) return pending;
  if (acting.reachedHead) return [acting, ...pending];
  if (!gateIsOpen) return [...pending, acting];
  const before = pending.filter((command) => !parked.includes(command));
  const behind = pending.filter((command) => parked.includes(command));
  return [...before, acting, ...behind];
}
