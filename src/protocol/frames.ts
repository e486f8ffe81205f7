/**
 * Writes the frames that a server sends, as JSON text.
 *
 * The frames of every command are concatenated by hand, because they are most of what a busy server writes; only what is
 * free-form (data, events, an id of a wrong type) goes through the general serializer. The shapes are those of
 * `outgoing.ts`, and a test holds the two together. Pure as far as anyone can see; throws only if it is handed what is not
 * JSON. State: volatile (the identity that was written last).
 */
import { quote } from './quote.ts';

/** Identity of a command as its lifecycle frames show it. */
export interface FrameCommand {
  readonly commandId: string;
  readonly commandType: string;
  readonly sessionId: string | undefined;
  readonly dependsOn: readonly string[] | undefined;
  readonly ifSessionVersion: number | undefined;
  readonly idempotencyKey: string | undefined;
}

/** The terminal result of a command, as its frames show it. */
export type FrameOutcome =
  | { readonly success: true; readonly data?: unknown; readonly details?: unknown }
  | {
      readonly success: false;
      readonly errorCode: string;
      readonly error: string;
      readonly timedOut?: true;
      readonly details?: unknown;
    };

/** What is said of a response beside its outcome. */
const marks = { replayed: ',"replayed":true', stale: ',"stale":true', undurable: ',"durable":false' } as const;

/** `frames` satisfies the runtime's port of the same name. */
export const frames = {
  accepted(command: FrameCommand): string {
    return `{"type":"command_accepted","data":{${identity(command)}}}`;
  },

  started(command: FrameCommand): string {
    return `{"type":"command_started","data":{${identity(command)}}}`;
  },

  finished(
    command: FrameCommand,
    outcome: FrameOutcome,
    sessionVersion: number | undefined,
    replayed: boolean,
  ): string {
    let text = `{"type":"command_finished","data":{${identity(command)},"success":`;
    text += outcome.success ? 'true' : failed(outcome);
    if (sessionVersion !== undefined) text += `,"sessionVersion":${sessionVersion}`;
    if (replayed) text += ',"replayed":true';
    return text + '}}';
  },

  response(
    commandType: string,
    id: unknown,
    outcome: FrameOutcome,
    sessionVersion: number | undefined,
    mark?: keyof typeof marks,
  ): string {
    let text = '{"type":"response",';
    if (id !== undefined) text += `"id":${typeof id === 'string' ? quote(id) : JSON.stringify(id)},`;
    text += `"command":${quote(commandType)},"success":`;
    if (outcome.success) {
      text += 'true';
      if (outcome.data !== undefined) text += `,"data":${JSON.stringify(outcome.data)}`;
    } else {
      text += failed(outcome);
    }
    if (outcome.details !== undefined) text += `,"details":${JSON.stringify(outcome.details)}`;
    if (sessionVersion !== undefined) text += `,"sessionVersion":${sessionVersion}`;
    if (mark !== undefined) text += marks[mark];
    return text + '}';
  },

  event(sessionId: string, epoch: string, seq: number, event: object, ephemeral: boolean): string {
    const body = JSON.stringify(event);
    const tail = ephemeral ? ',"ephemeral":true}' : '}';
    return `{"type":"event","sessionId":${quote(sessionId)},"event":${body},"epoch":${quote(epoch)},"seq":${seq}${tail}`;
  },

  notice(type: string, data: unknown): string {
    return `{"type":${quote(type)},"data":${JSON.stringify(data)}}`;
  },
};

/** The frames of a command mostly follow each other, and its identity costs more than the rest of them. */
let last: { readonly command: FrameCommand; readonly identity: string } | undefined;

/** Fields that all three lifecycle frames share. */
function identity(command: FrameCommand): string {
  if (last?.command !== command) last = { command, identity: identityOf(command) };
  return last.identity;
}

/** `dependsOn` is always there, as in the base protocol. */
function identityOf(command: FrameCommand): string {
  const { sessionId, dependsOn, ifSessionVersion, idempotencyKey } = command;
  let text = `"commandId":${quote(command.commandId)},"commandType":${quote(command.commandType)}`;
  if (sessionId !== undefined) text += `,"sessionId":${quote(sessionId)}`;
  text += dependsOn === undefined || dependsOn.length === 0 ? ',"dependsOn":[]' : `,"dependsOn":${list(dependsOn)}`;
  if (ifSessionVersion !== undefined) text += `,"ifSessionVersion":${ifSessionVersion}`;
  if (idempotencyKey !== undefined) text += `,"idempotencyKey":${quote(idempotencyKey)}`;
  return text;
}

function list(texts: readonly string[]): string {
  return `[${texts.map(quote).join(',')}]`;
}

function failed(outcome: FrameOutcome & { readonly success: false }): string {
  const text = `false,"error":${quote(outcome.error)},"errorCode":${quote(outcome.errorCode)}`;
  return outcome.timedOut ? `${text},"timedOut":true` : text;
}
