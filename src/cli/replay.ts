/**
 * `troupe replay`: a session at any event of its history, folded from its journal lane as a server folds it, and what differs
 * between two of them. Changes nothing, beside a server or without one. State: none.
 */
import type { CommandFinished, CommandSettled, Entry } from '../../actors/entry.ts';
import type { Json, SessionPicture } from '../../actors/message.ts';
import { pictureAt } from '../../actors/session/lane-fold.ts';
import { counted } from './counted.ts';
import { differences } from './difference.ts';
import { mustBeThere, printable, withJournal } from './offline.ts';
import type { OfflineCommand } from './offline.ts';
import { changeLines, pictureLines } from './replay-text.ts';

export interface ReplayCommand extends OfflineCommand {
  readonly session: string;
  /** The last event that is folded; all of them without it. */
  readonly to: number | undefined;
  readonly diff: number | undefined;
  /** The newest incarnation without it. */
  readonly epoch: string | undefined;
  readonly commands: boolean;
  readonly json: boolean;
}

/** A command as its outcome tells it, in the order in which they had their effect. */
interface ReplayedCommand {
  readonly commandId: string;
  readonly commandType: string;
  readonly laneSeq: number;
  readonly offset: number;
  readonly success: boolean;
  readonly errorCode?: string;
  readonly sessionVersion?: number;
  readonly blanked?: true;
  readonly redacted?: true;
}

export async function replay(command: ReplayCommand): Promise<void> {
  const { session, to, diff, epoch, json } = command;
  await withJournal(command, async (reader, { limits }) => {
    const outcomes = new Outcomes(command.commands);
    const look = async (seq: number | undefined, watch?: Outcomes): Promise<SessionPicture> => {
      const question = {
        mailboxDepthMax: limits.mailboxDepthMax,
        ...(epoch !== undefined && { epoch }),
        ...(seq !== undefined && { seq }),
      };
      const found = mustBeThere(
        await pictureAt(reader, session, question, watch),
        { session, epoch, seq },
        reader.journal,
      );
      // An entry may hold several events: what was asked for is shown as what it is.
      return seq === undefined ? found : { ...found, seq };
    };
    const picture = await look(to, outcomes);
    const before = diff === undefined ? undefined : await look(diff);
    const changes = before === undefined ? undefined : differences(comparable(before), comparable(picture));
    if (json) {
      const told = {
        ...picture,
        ...outcomes.removed,
        ...(command.commands && { commands: outcomes.all }),
        ...(changes !== undefined && { diff: { from: diff, to: picture.seq, changes } }),
      };
      process.stdout.write(`${JSON.stringify(told)}\n`);
      return;
    }
    const lines = changes === undefined ? pictureLines(picture) : changeLines(changes, diff!, picture.seq);
    lines.push(...removedLines(outcomes.removed));
    if (command.commands) lines.push('', ...outcomes.all.map(lineOf).map(printable));
    process.stdout.write(`${lines.join('\n')}\n`);
  });
}

/** What is the same for both of them, or says only which one it is, is no difference. */
function comparable({ value, context, children }: SessionPicture): Json {
  const { seq: _seq, ...rest } = context;
  return { value, context: rest, children } as unknown as Json;
}

/** The outcomes of one incarnation, in the order of its lane. */
class Outcomes {
  all: ReplayedCommand[] = [];
  readonly #listed: boolean;
  #blanked = 0;
  #redacted = 0;

  /** @param listed there is somebody who wants to see them: to read who asked for what costs more than to fold it. */
  constructor(listed: boolean) {
    this.#listed = listed;
  }

  /** How many entries do not say any more what they said, or never said it all; without those that are none. */
  get removed(): { readonly blanked?: number; readonly redacted?: number } {
    return {
      ...(this.#blanked > 0 && { blanked: this.#blanked }),
      ...(this.#redacted > 0 && { redacted: this.#redacted }),
    };
  }

  begun(): void {
    this.all = [];
    this.#blanked = 0;
    this.#redacted = 0;
  }

  folded(entry: Entry): void {
    if (entry.blanked === true) this.#blanked += 1;
    if (entry.redacted === true) this.#redacted += 1;
    if (!this.#listed) return;
    if (entry.kind === 'command.settled' || entry.kind === 'command.finished') this.all.push(outcomeOf(entry));
  }
}

function outcomeOf(entry: CommandSettled | CommandFinished): ReplayedCommand {
  const { commandId, commandType, laneSeq, offset, success, errorCode, sessionVersion, blanked, redacted } = entry;
  return {
    ...{ commandId, commandType, laneSeq, offset, success },
    ...(errorCode !== undefined && { errorCode }),
    ...(sessionVersion !== undefined && { sessionVersion }),
    ...(blanked !== undefined && { blanked }),
    ...(redacted !== undefined && { redacted }),
  };
}

function removedLines({ blanked = 0, redacted = 0 }: Outcomes['removed']): string[] {
  if (blanked + redacted === 0) return [];
  const parts = [
    ...(blanked > 0 ? [`blanked in ${counted(blanked, 'entry', 'entries')}`] : []),
    ...(redacted > 0 ? [`redacted in ${counted(redacted, 'entry', 'entries')}`] : []),
  ];
  return ['', `not all that was said is there: ${parts.join(', ')}`];
}

function lineOf(told: ReplayedCommand): string {
  const { laneSeq, commandType, commandId, success, errorCode, sessionVersion, blanked, redacted } = told;
  const marks = `${blanked === true ? ' (blanked)' : ''}${redacted === true ? ' (redacted)' : ''}`;
  const end = success
    ? `ok${sessionVersion === undefined ? '' : `, version ${sessionVersion}`}`
    : (errorCode ?? 'failed');
  return `${String(laneSeq).padStart(6)}  ${commandType.padEnd(20)} ${end.padEnd(20)} ${commandId}${marks}`;
}
