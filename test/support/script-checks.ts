/** What must hold after any script: for the frames that a client saw, and for the entries that are left. */
import type { Entry } from '../../actors/entry.ts';
import { audit } from './audit.ts';
import type { SentCommand } from './random-script.ts';
import type { Client, Frame } from './world.ts';

const LIFE = ['command_accepted', 'command_started', 'command_finished', 'response'];

/** Each command is answered exactly once for each time it was asked, in the order of the protocol. */
export function frameProblems(client: Client, sent: readonly SentCommand[]): string[] {
  const problems: string[] = [];
  const byCommand = new Map<string, Frame[]>();
  for (const frame of client.frames) {
    const id = (frame['id'] ?? frame['data']?.commandId) as string | undefined;
    if (id === undefined || !LIFE.includes(frame.type)) continue;
    byCommand.set(id, [...(byCommand.get(id) ?? []), frame]);
  }
  for (const { id } of sent) {
    const frames = byCommand.get(id) ?? [];
    const first = frames.filter((frame) => frame['replayed'] !== true && frame['data']?.replayed !== true);
    const responses = first.filter(({ type }) => type === 'response');
    // By key or by refusal the same id may have been answered as a replay alone, or be tried anew.
    if (frames.length === 0) problems.push(`${id} was never answered`);
    const order = first.map(({ type }) => LIFE.indexOf(type));
    const lives = responses.length;
    if (lives <= 1 && order.some((place, index) => index > 0 && place <= order[index - 1]!)) {
      problems.push(`${id} was told out of order: ${first.map(({ type }) => type).join(', ')}`);
    }
  }
  return [...problems, ...eventProblems(client)];
}

/** Durable events of an attached session are numbered without gaps, and nothing comes twice. */
export function eventProblems(client: Client): string[] {
  const problems: string[] = [];
  const place = new Map<string, number>();
  for (const frame of client.frames) {
    if (frame.type === 'session_synced') {
      place.set(`${String(frame['data'].sessionId)}/${String(frame['data'].epoch)}`, frame['data'].seq as number);
    }
    if (frame.type !== 'event') continue;
    const key = `${String(frame['sessionId'])}/${String(frame['epoch'])}`;
    const before = place.get(key);
    const seq = frame['seq'] as number;
    const expected = frame['ephemeral'] === true ? before : (before ?? Number.NaN) + 1;
    if (seq !== expected) problems.push(`event ${seq} of ${key} follows ${String(before)}`);
    place.set(key, seq);
  }
  return problems;
}

/** One outcome each, dependencies first, lanes in order. */
export function entryProblems(entries: readonly Entry[], sent: readonly SentCommand[]): string[] {
  const { problems, outcomes, open } = audit(entries);
  const all = [...problems, ...open.map(({ commandId }) => `${commandId} has no outcome`)];
  const ends = new Map([...outcomes.values()].map((end) => [end.commandId, end]));
  const began = new Map<string, number>();
  const accepted = new Map<number, string>();
  for (const entry of entries) {
    if (entry.kind === 'command.accepted') accepted.set(entry.offset, entry.commandId);
    if (entry.kind === 'command.started') began.set(accepted.get(entry.acceptedOffset) ?? '', entry.offset);
  }
  for (const { id, dependsOn } of sent) {
    const end = ends.get(id);
    const start = began.get(id) ?? end?.offset;
    if (end === undefined || start === undefined) continue;
    if (began.get(id) === undefined && !end.success) continue;
    for (const dependency of dependsOn) {
      const needed = ends.get(dependency);
      if (needed === undefined) continue;
      if (!needed.success) all.push(`${id} acted although ${dependency} failed`);
      if (needed.offset > start) all.push(`${id} acted before ${dependency} was over`);
    }
  }
  return [...all, ...laneProblems(sent, ends, began)];
}

/** Found at the head of its lane; whatever ended a command before that says nothing about the lane's order. */
const AT_HEAD: ReadonlySet<string | undefined> = new Set([
  undefined,
  'SESSION_NOT_FOUND',
  'SESSION_EXISTS',
  'VERSION_MISMATCH',
  'DEPENDENCY_FAILED',
  'ENGINE_FAILED',
]);

function laneProblems(
  sent: readonly SentCommand[],
  ends: ReadonlyMap<string, { offset: number; errorCode?: string }>,
  began: ReadonlyMap<string, number>,
): string[] {
  const problems: string[] = [];
  const last = new Map<string, { id: string; at: number }>();
  for (const { id, type, sessionId } of sent) {
    const end = ends.get(id);
    if (sessionId === undefined || end === undefined) continue;
    if (!['prompt', 'set_session_name', 'create_session'].includes(type)) continue;
    const at = began.get(id) ?? (AT_HEAD.has(end.errorCode) ? end.offset : undefined);
    if (at === undefined) continue;
    const before = last.get(sessionId);
    if (before !== undefined && before.at > at) problems.push(`${id} acted before ${before.id} in ${sessionId}`);
    last.set(sessionId, { id, at });
  }
  return problems;
}
