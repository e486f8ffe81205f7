/**
 * The commands of this server. A new one is an entry here and a value beside its relatives; nothing else changes.
 */
import { backup } from './backup.ts';
import { applyRetention } from './apply-retention.ts';
import { compactJournal } from './compact-journal.ts';
import { attachSession, detachSession, switchSession } from './attach.ts';
import type { Command } from './command.ts';
import { getCommandHistory } from './history.ts';
import { getMetrics } from './metrics.ts';
import { getStartupRecovery, healthCheck, ping } from './server.ts';
import { getLastAssistantText, getMessages, getState, listSessions } from './session-read.ts';
import { purgeSession } from './purge.ts';
import { getSessionSnapshot } from './session-snapshot.ts';
import { getSessionEvents } from './session-events.ts';
import { getSessionStats } from './session-stats.ts';
import { createSession, deleteSession, setSessionName } from './session.ts';
import { subscribe, unsubscribe } from './subscription.ts';
import { abort, followUp, prompt, steer } from './turn.ts';
import { verifyJournal } from './verify-journal.ts';

export const catalog: readonly Command[] = [
  listSessions,
  createSession,
  deleteSession,
  switchSession,
  attachSession,
  detachSession,
  subscribe,
  unsubscribe,
  healthCheck,
  getStartupRecovery,
  getMetrics,
  getCommandHistory,
  verifyJournal,
  backup,
  purgeSession,
  compactJournal,
  applyRetention,
  ping,
  prompt,
  steer,
  followUp,
  abort,
  getState,
  getMessages,
  getLastAssistantText,
  getSessionEvents,
  getSessionStats,
  getSessionSnapshot,
  setSessionName,
];
