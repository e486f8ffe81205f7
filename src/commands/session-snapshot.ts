/**
 * A session at any event of its history: get_session_snapshot.
 *
 * The state at event N is the fold up to and including the entry of that event. Where it is now is at hand; where it was is
 * folded from the journal again, page by page.
 */
import { z } from 'zod';
import type { Json, JournalReader, Outcome, ServerView, SessionPicture, SessionView } from '../../actors/message.ts';
import { classed } from '../protocol/data-class.ts';
import { envelopes } from '../protocol/envelope.ts';
import { field } from '../protocol/field.ts';
import { answer, refusal, refuse, sessionCommand } from './command.ts';

const SEQ_TEXT = 'Must be a non-negative integer';

const seqField = field<number>({ type: 'integer', minimum: 0 }, (value) =>
  Number.isSafeInteger(value) && (value as number) >= 0 ? undefined : SEQ_TEXT,
);

export const getSessionSnapshot = sessionCommand({
  type: 'get_session_snapshot',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: { ...envelopes.session, seq: classed('operational', z.optional(seqField)) },
  decide({ seq }, session, server) {
    if (seq === undefined) {
      const picture = server.picture(session.id);
      return picture === undefined
        ? refuse('SESSION_NOT_FOUND', `Session ${session.id} not found`)
        : answer(shown(picture));
    }
    if (seq > session.seq)
      return refuse('CURSOR_EXPIRED', notYet(session.id, seq, session.seq), at(session, session.seq));
    // The session itself goes on meanwhile.
    const { id, epoch, incarnation } = session;
    const view = { id, epoch, incarnation };
    return { do: 'consult', consult: (journal) => look(journal, server, view, seq) };
  },
});

type Asked = Pick<SessionView, 'id' | 'epoch' | 'incarnation'>;

async function look(journal: JournalReader, server: ServerView, session: Asked, seq: number): Promise<Outcome> {
  const { id, incarnation } = session;
  const found = await server.pictureAt(journal, id, { epoch: incarnation, seq });
  if (!('missing' in found)) return { success: true, data: shown({ ...found, seq }) };
  if (found.missing === 'dropped') {
    const text = `What session ${id} was at event ${seq} is not kept any more: event ${found.firstSeq} is the first that is`;
    return refusal('CURSOR_EXPIRED', text, { epoch: session.epoch, firstSeq: found.firstSeq });
  }
  if (found.missing !== 'seq') return refusal('SESSION_NOT_FOUND', `Session ${id} not found`);
  return refusal('CURSOR_EXPIRED', notYet(id, seq, found.headSeq), at(session, found.headSeq));
}

function shown({ seq, epoch, value, context, children, machineId, machineVersion }: SessionPicture): Json {
  return { seq, epoch, value, context, children, machineId, machineVersion } as unknown as Json;
}

function notYet(id: string, seq: number, headSeq: number): string {
  return `Session ${id} has no event ${seq}: the newest one is ${headSeq}`;
}

function at({ epoch }: Asked, headSeq: number): Json {
  return { epoch, headSeq };
}
