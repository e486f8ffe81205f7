/**
 * What the clients send: the same frame goes to the yardstick and to Troupe, so that a ratio compares nothing but servers.
 */
import { echoOf, responseTo, type Expected } from './answers.ts';
import { NUMBER } from './wire.ts';

const SESSIONS = 64;
export const SHAPE = { connections: 8, outstanding: 64, burst: 16 } as const;
const FRAME_BYTES = 186;

export interface Commands {
  readonly commands: readonly string[];
  readonly expected: Expected;
}

export function sessionIds(prefix: string, count = SESSIONS): string[] {
  const width = String(count - 1).length;
  return Array.from({ length: count }, (_, index) => `${prefix}-${String(index).padStart(width, '0')}`);
}

function command(type: string, sessionId: string, fields: object = {}): string {
  return JSON.stringify({ id: `c${NUMBER}`, type, sessionId, ...fields });
}

function commandsTo(sessions: readonly string[], type: string, fields?: object): Commands {
  return { commands: sessions.map((id) => command(type, id, fields)), expected: responseTo(type) };
}

export const createSession = (sessions: readonly string[]): Commands => commandsTo(sessions, 'create_session');

export const deleteSession = (sessions: readonly string[]): Commands => commandsTo(sessions, 'delete_session');

export const getState = (sessions: readonly string[]): Commands => commandsTo(sessions, 'get_state');

export const prompt = (sessions: readonly string[]): Commands =>
  commandsTo(sessions, 'prompt', { message: `What do you say to question ${NUMBER} of this session?` });

export function setSessionName(sessions: readonly string[]): Commands {
  const name = `Name ${NUMBER} of a session `;
  const commands = sessions.map((id) => {
    const room = FRAME_BYTES - command('set_session_name', id, { name }).length;
    return command('set_session_name', id, { name: name.padEnd(name.length + room, 'and so on ') });
  });
  return { commands, expected: responseTo('set_session_name') };
}

/** The frames of `setSessionName`, to a server that sends back what it gets. */
export function echo(sessions: readonly string[]): Commands {
  return { ...setSessionName(sessions), expected: echoOf('set_session_name') };
}

/** Each connection sees the lifecycle of its own commands. */
export const OWN_LIFECYCLE = ['{"type":"subscribe","id":"own","topics":["lifecycle"],"scope":"own"}'];
