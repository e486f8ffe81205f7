/**
 * The life of a session: create_session, delete_session, set_session_name.
 */
import { z } from 'zod';
import type { Json, SessionSpec } from '../../actors/message.ts';
import { classed } from '../protocol/data-class.ts';
import { envelopes, isNotBlank } from '../protocol/envelope.ts';
import { field, textField } from '../protocol/field.ts';
import { openingCommand, sessionCommand } from './command.ts';
import { nameField } from './fields.ts';
import { sessionInfo } from './session-info.ts';

const CWD_CHARS_MAX = 4096;
const ENGINE_CHARS_MAX = 64;
const LABELS_MAX = 64;
const LABEL_CHARS_MAX = 256;

/** A month: what has to be there longer is no session. */
const TTL_MS_MAX = 30 * 24 * 3_600_000;
const TTL_TEXT = `Must be a whole number of milliseconds from 1 to ${TTL_MS_MAX}`;

const ENGINE_TEXT = 'Must be a non-empty string if provided';

const engineName = textField(ENGINE_TEXT, ENGINE_CHARS_MAX, (name) => {
  if (!isNotBlank(name)) return ENGINE_TEXT;
  return name.length > ENGINE_CHARS_MAX ? `Too long (max ${ENGINE_CHARS_MAX} chars)` : undefined;
});

/** As text alone: whether the directory is there is found out by the engine that goes to work in it. */
const workingDirectory = textField('Must be a string if provided', CWD_CHARS_MAX, (path) => {
  if (path.length > CWD_CHARS_MAX) return `CWD too long (max ${CWD_CHARS_MAX} chars)`;
  if (path.includes('\0') || path.startsWith('~')) return 'CWD contains potentially dangerous path components';
  return /^(\/|[a-zA-Z]:[\\/]|\\\\)/.test(path) ? undefined : 'CWD must be an absolute path';
});

const lifetime = z.int({ error: TTL_TEXT }).min(1, { error: TTL_TEXT }).max(TTL_MS_MAX, { error: TTL_TEXT });

/** Checked by the engine, which alone knows what it takes. */
const engineInput = field<Json>({ description: 'Belongs to the engine.' }, () => undefined);

const labels = field<Json>({ type: 'object', additionalProperties: { type: 'string' } }, labelsProblem);

function labelsProblem(value: unknown): string | undefined {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'Must be an object of strings';
  const entries = Object.entries(value);
  if (entries.length > LABELS_MAX) return `Too many labels (max ${LABELS_MAX})`;
  if (entries.some(([, label]) => typeof label !== 'string')) return 'Must be an object of strings';
  const long = entries.some(([name, label]) => name.length > LABEL_CHARS_MAX || String(label).length > LABEL_CHARS_MAX);
  return long ? `Names and values too long (max ${LABEL_CHARS_MAX} chars)` : undefined;
}

export const createSession = openingCommand({
  type: 'create_session',
  scope: 'drive',
  lane: 'work',
  activity: 'user',
  // An engine may have to be loaded first; one that never gets there must not hold the mailbox for good.
  timeout: 'long',
  fields: {
    ...envelopes.creation,
    engine: classed('operational', z.optional(engineName)),
    kind: classed('operational', z.optional(engineName)),
    name: z.optional(nameField),
    cwd: classed('content', z.optional(workingDirectory)),
    labels: classed('content', z.optional(labels)),
    input: classed('content', z.optional(engineInput)),
    ttl: classed('operational', z.optional(lifetime)),
  },
  decide(frame) {
    const { engine = frame.kind, input, name, cwd, labels, ttl } = frame;
    const spec: SessionSpec = {
      engine,
      ...(input === undefined ? {} : { input }),
      ...(name === undefined ? {} : { name }),
      ...(cwd === undefined ? {} : { cwd }),
      ...(labels === undefined ? {} : { labels }),
      ...(ttl === undefined ? {} : { ttlMs: ttl }),
    };
    return {
      do: 'open',
      spec,
      respond: (session) => ({ sessionId: session.id, sessionInfo: sessionInfo(session) }),
    };
  },
});

export const deleteSession = sessionCommand({
  type: 'delete_session',
  scope: 'drive',
  lane: 'control',
  activity: 'user',
  endsSession: true,
  fields: envelopes.deletion,
  decide: () => ({ do: 'close', reason: 'deleted', data: { deleted: true } }),
});

export const setSessionName = sessionCommand({
  type: 'set_session_name',
  scope: 'drive',
  lane: 'work',
  activity: 'user',
  idempotent: true,
  fields: { ...envelopes.session, name: nameField },
  decide: (frame) => ({
    do: 'settle',
    outcome: { success: true },
    events: [{ type: 'session_changed', fields: { name: frame.name } }],
  }),
});
