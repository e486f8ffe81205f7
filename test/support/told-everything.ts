/**
 * The slow way to look back: whole entries, and a chart that is told every step when its entry is folded. What looks back fast is
 * held against it.
 */
import type { CommandAccepted, Entry } from '../../actors/entry.ts';
import { sessionLane } from '../../actors/entry.ts';
import { Host } from '../../actors/host.ts';
import type { SessionPicture } from '../../actors/message.ts';
import { Evolution } from '../../actors/session/evolution.ts';
import { openingOf } from '../../actors/session/fold.ts';
import { pictureOf } from '../../actors/session/lane-fold.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { limits } from './world.ts';

/** A session behind one of its entries. */
export interface Place {
  readonly offset: number;
  readonly epoch: string;
  readonly seq: number;
  readonly picture: SessionPicture;
}

/** The session of that name behind each entry of its lane, in order, incarnation after incarnation. */
export function placesOf(entries: readonly Entry[], id: string): Place[][] {
  const host = new Host(createSimulatedClock());
  const incarnations: Place[][] = [];
  const inFlight = new Map<number, CommandAccepted>();
  let evolution: Evolution | undefined;
  for (const entry of entries) {
    if (entry.kind === 'command.accepted') inFlight.set(entry.offset, entry);
    if (entry.kind === 'command.finished') inFlight.delete(entry.acceptedOffset);
    if (entry.lane !== sessionLane(id)) continue;
    const opened = openingOf(entry);
    if (opened !== undefined) {
      evolution = new Evolution(host, id, opened.engine, limits.mailboxDepthMax);
      evolution.wake();
      incarnations.push([]);
    }
    if (evolution === undefined || (opened === undefined && evolution.state?.closed != null)) continue;
    evolution.take(entry);
    if (opened !== undefined) {
      for (const { offset, commandId, deadlineAt, sessionId, mailbox, lane } of inFlight.values()) {
        const waits = sessionId === id && mailbox === 'work' && lane !== sessionLane(id);
        if (waits) evolution.enterLane(offset, commandId, deadlineAt);
      }
    }
    const { epoch, seq } = evolution.state!;
    const picture = pictureOf(evolution.state!, evolution.snapshot);
    incarnations.at(-1)!.push({ offset: entry.offset, epoch, seq, picture });
  }
  return incarnations;
}
