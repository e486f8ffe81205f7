/**
 * Checking the journal of the running server: verify_journal.
 *
 * It answers with success whatever it finds: the check was done, and `ok` says how it went. It reads in pieces beside the work
 * of the server, so a long journal takes its time and holds nobody up.
 */
import { envelopes } from '../protocol/envelope.ts';
import { serverCommand } from './command.ts';
import type { JsonObject } from './session-info.ts';

const PROBLEMS_MAX = 100;

export const verifyJournal = serverCommand({
  type: 'verify_journal',
  scope: 'operate',
  lane: 'read',
  activity: 'none',
  timeout: 'long',
  fields: envelopes.server,
  decide(_frame, server) {
    const last = server.journal.offset;
    const { journal: path } = server.recovery;
    return {
      do: 'consult',
      async consult(journal) {
        const { problems, ...counts } = await journal.verify(last);
        const listed = problems.slice(0, PROBLEMS_MAX).map((problem): JsonObject => ({ ...problem }));
        return { success: true, data: { ...counts, journal: path, problems: listed } };
      },
    };
  },
});
