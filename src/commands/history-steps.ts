/**
 * What the journal says of a command, as the base protocol's history shows it: one item for each phase.
 *
 * A command settled in one entry went through all its phases at once and is shown with all three. What an outcome carried as
 * data is not part of the history. Pure.
 */
import type {
  CommandAccepted,
  CommandFinished,
  CommandSettled,
  CommandStarted,
  StoredEntry,
} from '../../actors/entry.ts';
import type { Json } from '../../actors/message.ts';
import { sessionOf } from './history-walk.ts';
import type { JsonObject } from './session-info.ts';

export const PHASES = ['command_accepted', 'command_started', 'command_finished'] as const;
export type Phase = (typeof PHASES)[number];

type LifecycleEntry = CommandAccepted | CommandStarted | CommandSettled | CommandFinished;

/** An entry about a command, without what could be large. */
export interface CommandEntry {
  readonly offset: number;
  readonly phases: readonly Phase[];
  /** Offset of the entry that says who asked for what, if that is another one. */
  readonly acceptedOffset: number | undefined;
  readonly success: boolean | undefined;
  /** Fields that are the same for every phase. */
  readonly common: JsonObject;
  readonly identity: JsonObject | undefined;
  readonly attempt: JsonObject;
  readonly end: JsonObject;
}

export function commandEntry(stored: StoredEntry): CommandEntry | undefined {
  const { entry } = stored;
  switch (entry.kind) {
    case 'command.accepted':
      return make(entry, [PHASES[0]], identityOf(entry, stored.fingerprint));
    case 'command.started':
      return make(entry, [PHASES[1]], undefined);
    case 'command.settled':
      return make(entry, PHASES, identityOf(entry, stored.fingerprint));
    case 'command.finished':
      return make(entry, [PHASES[2]], undefined);
    default:
      return undefined;
  }
}

/** One phase as a client sees it. `accepted` says who asked, where the entry itself does not. */
export function historyItem(entry: CommandEntry, phase: Phase, accepted: CommandEntry | undefined): JsonObject {
  return {
    ...entry.common,
    phase,
    ...(entry.identity ?? accepted?.identity),
    ...(phase === 'command_started' && entry.attempt),
    ...(phase === 'command_finished' && entry.end),
  };
}

function make(entry: LifecycleEntry, phases: readonly Phase[], identity: JsonObject | undefined): CommandEntry {
  const sessionId = sessionOf(entry);
  const ends = entry.kind === 'command.settled' || entry.kind === 'command.finished';
  return {
    offset: entry.offset,
    phases,
    acceptedOffset: 'acceptedOffset' in entry ? entry.acceptedOffset : undefined,
    success: ends ? entry.success : undefined,
    common: {
      recordedAt: entry.at,
      commandId: entry.commandId,
      laneKey: entry.lane,
      laneSequence: entry.laneSeq,
      offset: entry.offset,
      ...(sessionId !== undefined && { sessionId }),
      ...marksOf(entry),
    },
    identity,
    attempt: { attempt: entry.kind === 'command.started' ? entry.attempt : 1 },
    end: ends ? endOf(entry) : {},
  };
}

/** What the entry said is not all there any more, or was never stored as it was. */
function marksOf({ blanked, redacted }: LifecycleEntry): JsonObject {
  return { ...(blanked === true && { blanked }), ...(redacted === true && { redacted }) };
}

function identityOf(entry: CommandAccepted | CommandSettled, fingerprint: string | undefined): JsonObject {
  const identity: JsonObject = {
    commandType: entry.commandType,
    lane: entry.mailbox,
    fingerprint: fingerprint ?? null,
    explicitId: entry.explicitId,
  };
  if (entry.dependsOn !== undefined) identity['dependsOn'] = [...entry.dependsOn];
  const version = expectedVersion(entry.content.command);
  if (version !== undefined) identity['ifSessionVersion'] = version;
  if (entry.idempotencyKey !== undefined) identity['idempotencyKey'] = entry.idempotencyKey;
  return identity;
}

/** Nearly no command has one: a text that does not even name the field is not parsed again. Blanked, there may be none. */
function expectedVersion(command: string | undefined): Json | undefined {
  if (command?.includes('ifSessionVersion') !== true) return undefined;
  try {
    const frame = JSON.parse(command) as { ifSessionVersion?: Json };
    return frame.ifSessionVersion;
  } catch {
    return undefined;
  }
}

function endOf(entry: CommandSettled | CommandFinished): JsonObject {
  const { commandType, success, errorCode, sessionVersion, timedOut, content } = entry;
  const end: JsonObject = { commandType, success };
  if (content.error !== undefined) end['error'] = content.error;
  if (errorCode !== undefined) end['errorCode'] = errorCode;
  if (sessionVersion !== undefined) end['sessionVersion'] = sessionVersion;
  if (timedOut !== undefined) end['timedOut'] = true;
  if (entry.kind === 'command.finished' && entry.recovered !== undefined) {
    end['recovered'] = true;
    end['recoveryReason'] = entry.recovered;
  }
  return end;
}
