/**
 * What was asked of the server and how it ended, from the journal: get_command_history.
 */
import { envelopes } from '../protocol/envelope.ts';
import { refuse, serverCommand } from './command.ts';
import { filterProblem, historyFields, historyPage } from './history-page.ts';

export const getCommandHistory = serverCommand({
  type: 'get_command_history',
  scope: 'observe',
  lane: 'read',
  activity: 'none',
  fields: { ...envelopes.server, ...historyFields },
  decide(frame, server) {
    const problem = filterProblem(frame);
    if (problem !== undefined) {
      return refuse('VALIDATION_FAILED', `Validation failed: ${problem.path}: ${problem.message}`, [problem]);
    }
    const newest = server.journal.offset;
    const journalPath = server.recovery.journal;
    return {
      do: 'consult',
      async consult(journal) {
        return { success: true, data: await historyPage(journal, { newest, journalPath }, frame) };
      },
    };
  },
});
