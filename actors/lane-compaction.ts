/**
 * Records what the journal lane of one session comes to, if nothing is under way in it. One that is not in memory comes there for
 * it, and leaves again. State: none.
 */
import type { Directory } from './directory.ts';
import { sessionLane } from './entry.ts';
import type { Runtime } from './runtime.ts';

/** What was read of the lane. */
export interface LaneRead {
  /** Of its newest entry: another one may have come since. */
  readonly laneSeq: number;
  /** Acceptances in other lanes that have their outcome in it. */
  readonly ended: readonly number[];
  /** Its last session is over because its time was. */
  readonly expired: boolean;
}

/** @returns the offset of the entry that says it, when there is one. */
export async function compactLane(
  directory: Directory,
  runtime: Runtime,
  sessionId: string,
  read: LaneRead,
): Promise<number | undefined> {
  if (!directory.has(sessionId)) return compactEnded(directory, runtime, sessionId, read);
  const wasPassive = directory.isPassive(sessionId);
  const mailbox = directory.mailbox(sessionId);
  if (wasPassive) await directory.arrival(sessionId);
  const { clock, releases, writer } = runtime;
  if (!directory.isLive || !writer.writable) return undefined;
  let offset: number | undefined;
  mailbox.guard(() => {
    const { session } = mailbox;
    const rests = mailbox.rests && !mailbox.overdue && session?.restsSince(Infinity) === true;
    if (rests && session.laneSeq === read.laneSeq) offset = session.compact(read.ended);
  });
  // Not in the middle of what is being released: a snapshot waits for that as well.
  if (wasPassive) releases.hold(writer.newestBatch, () => clock.defer(() => directory.letRest(mailbox)));
  return offset;
}

/** Of a session that is over nothing is kept but where its lane ended. */
async function compactEnded(
  directory: Directory,
  { journal, writer }: Runtime,
  sessionId: string,
  { laneSeq, ended, expired }: LaneRead,
): Promise<number | undefined> {
  const lane = sessionLane(sessionId);
  const head = await journal.head(lane);
  if (directory.uses(sessionId) || writer.knows(lane) || head !== laneSeq) return undefined;
  if (!directory.isLive || !writer.writable) return undefined;
  writer.adopt(lane, laneSeq);
  const { offset } = writer.append(lane, {
    kind: 'lane.compacted',
    sessionId,
    ended,
    ...(expired && { expired }),
    content: {},
  });
  directory.forgetLane(sessionId);
  return offset;
}
