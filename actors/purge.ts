/**
 * The purge of a session: it ends, and then what people and engines said in it is removed from the journal and from memory. What
 * names, orders and ends things stays.
 *
 * Each step may be repeated: a purge that was cut off is begun again from the start. State: none of its own.
 */
import type { Core } from './core.ts';
import { SERVER_LANE, sessionLane } from './entry.ts';
import { failure } from './message.ts';
import type { Outcome } from './message.ts';

export async function purgeSession({ checkpointer, router, runtime }: Core, sessionId: string): Promise<Outcome> {
  const { deduplication, journal, releases, writer } = runtime;
  // A session that is on its way into memory takes nothing before it is there.
  const { directory } = router;
  if (directory.isPassive(sessionId)) directory.mailbox(sessionId);
  await directory.arrival(sessionId);
  if (directory.isPassive(sessionId)) return failure('JOURNAL_UNAVAILABLE', 'The session can not be read now');
  const mailbox = directory.find(sessionId);
  mailbox?.purge();
  const ended = mailbox?.isClosed === true;
  // A defect showed: the session is rebuilt instead.
  if (mailbox?.isFrozen === true) return failure('INTERNAL_ERROR', 'The session could not be ended');
  // What comes later belongs to another incarnation.
  const through = writer.offset;
  // Never, if the journal fails: who takes this runtime's place begins again.
  await releases.passed(writer.newestBatch);
  const lane = sessionLane(sessionId);
  const known = ended || (await journal.head(lane)) > 0;
  if (known && !ended) {
    writer.append(SERVER_LANE, { kind: 'session.purged', sessionId, content: {} });
    await releases.passed(writer.newestBatch);
  }
  try {
    const own = await journal.blank({ through, lane });
    const others = await journal.blank({ through, lane: SERVER_LANE, sessionId });
    deduplication.forgetOutcomes(JSON.stringify(sessionId));
    const entries = own.entries + others.entries;
    if (!known && entries === 0) return failure('SESSION_NOT_FOUND', `Session ${sessionId} not found`);
    return { success: true, data: { sessionId, entries, erased: own.erased && others.erased } };
  } catch (error) {
    const text = `The session is over, and its content could not be removed: ${String(error)}; purge it again`;
    return failure('JOURNAL_UNAVAILABLE', text);
  } finally {
    // With what they were folded from.
    checkpointer.dropped();
  }
}
