/**
 * From bytes to a command that may be admitted, or to a refusal: size, JSON, shape, schema, authorization, in this order.
 *
 * Never throws, whatever the bytes are. What goes on is the very object that was parsed: schemas check it and copy nothing.
 * State: none.
 */
import type { CommandFrame, Failure, Principal } from '../../actors/message.ts';
import type { Intake, ParsedCommand, RefusedFrame } from '../../actors/ports.ts';
import { z } from 'zod';
import { DEPENDS_ON_NEEDS_ID, envelopes } from '../protocol/envelope.ts';
import { refusal } from './command.ts';
import { NESTING_MAX, isTooDeep } from './nesting.ts';
import { VALUES_MAX, outlineOf, type Outline } from './outline.ts';
import { offencesOf, refuseOffences } from './offences.ts';
import type { Offence } from './offences.ts';
import type { Registry } from './registry.ts';

export interface IntakeOptions {
  readonly registry: Registry;
  readonly frameBytesMax: number;
}

type Fields = Record<string, unknown>;

const UNKNOWN = 'unknown';
/** A type is quoted in the text of its refusal; a longer one is cut there. */
const TYPE_CHARS_QUOTED_MAX = 256;

const NO_OBJECT: Offence = { path: [], code: 'invalid', message: 'Command must be an object' };
const TOO_DEEP: Offence = { path: [], code: 'too_deep', message: `Nested too deeply (max ${NESTING_MAX} levels)` };
const TOO_MANY: Offence = { path: [], code: 'invalid', message: `Too many values (max ${VALUES_MAX})` };
const TYPE_TEXT = "Command must have a string 'type' field";
const NO_ID: Offence = { path: ['id'], code: 'required', message: DEPENDS_ON_NEEDS_ID };

/** Where the base reports a missing id: behind these fields, before all others. */
const FIELDS_BEFORE_NO_ID: ReadonlySet<PropertyKey> = new Set(['type', 'id', 'idempotencyKey', 'dependsOn']);

const unknownCommand = z.object(envelopes.unknown);

export function createIntake({ registry, frameBytesMax }: IntakeOptions): Intake {
  // A byte order mark is kept and then refused as JSON: a text that is hashed and stored has one form only.
  const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

  return {
    parse(bytes: Uint8Array, principal: Principal): ParsedCommand | RefusedFrame {
      if (bytes.length > frameBytesMax) {
        const text = `Message size ${bytes.length} exceeds limit ${frameBytesMax}`;
        return { refusal: refusal('FRAME_TOO_LARGE', text), commandType: UNKNOWN };
      }
      let text: string;
      let value: unknown;
      let outline: Outline | undefined;
      try {
        text = utf8.decode(bytes);
        outline = outlineOf(bytes);
        value = JSON.parse(outline?.text ?? text);
      } catch (error) {
        return { refusal: refusal('INVALID_JSON', jsonProblem(error)), commandType: UNKNOWN };
      }
      if (typeof value !== 'object' || value === null || Array.isArray(value))
        return { refusal: refuseOffences('INVALID_FRAME', [NO_OBJECT]), commandType: UNKNOWN };

      const fields = value as Fields;
      if (outline !== undefined) {
        const offence = outline.problem === 'deep' ? TOO_DEEP : TOO_MANY;
        return refused(fields, refuseOffences('VALIDATION_FAILED', [offence]), true);
      }
      if (isTooDeep(fields, text)) return refused(fields, refuseOffences('VALIDATION_FAILED', [TOO_DEEP]), true);
      const { type } = fields;
      const command = typeof type === 'string' ? registry.get(type) : undefined;
      if (command === undefined) return refused(fields, unknownType(fields));
      const checked = command.schema.safeParse(fields);
      if (!checked.success || lacksId(fields))
        return refused(fields, refuseOffences('VALIDATION_FAILED', collect(fields, checked.error)));
      if (!principal.scopes.includes(command.scope)) {
        const text = `Command '${command.type}' needs the scope '${command.scope}'`;
        return refused(fields, refusal('FORBIDDEN', text, { scope: command.scope }));
      }
      return { contract: command, frame: fields as CommandFrame, text };
    },
  };
}

/** The id is echoed as it was sent, unless writing it out is what the limit on nesting forbids. */
function refused(fields: Fields, refusal: Failure, tooDeep = false): RefusedFrame {
  const { type, id } = fields;
  const commandType = typeof type === 'string' && type !== '' ? type : UNKNOWN;
  const echoed = id !== undefined && !(tooDeep && typeof id === 'object');
  return echoed ? { refusal, commandType, id } : { refusal, commandType };
}

/** No type, or one that nobody knows: the rest of the envelope is checked all the same. */
function unknownType(fields: Fields): Failure {
  const { type } = fields;
  const offences = collect(fields, unknownCommand.safeParse(fields).error);
  if (typeof type !== 'string' || type === '') {
    const noType: Offence = { path: ['type'], code: type === undefined ? 'required' : 'invalid', message: TYPE_TEXT };
    return refuseOffences('VALIDATION_FAILED', [noType, ...offences]);
  }
  const quoted = type.length > TYPE_CHARS_QUOTED_MAX ? `${type.slice(0, TYPE_CHARS_QUOTED_MAX)}...` : type;
  const unknown: Offence = { path: ['type'], code: 'unknown_command', message: `Unknown command type '${quoted}'` };
  return refuseOffences('UNKNOWN_COMMAND', [...offences, unknown]);
}

function lacksId(fields: Fields): boolean {
  const { dependsOn } = fields;
  return Array.isArray(dependsOn) && dependsOn.length > 0 && typeof fields['id'] !== 'string';
}

/** All offences in the base protocol's order. */
function collect(fields: Fields, error: z.ZodError | undefined): Offence[] {
  const offences = error === undefined ? [] : offencesOf(fields, error);
  if (!lacksId(fields)) return offences;
  const behind = offences.findIndex(({ path }) => !FIELDS_BEFORE_NO_ID.has(path[0] ?? ''));
  return offences.toSpliced(behind < 0 ? offences.length : behind, 0, NO_ID);
}

/** Where the text breaks off, never what stands there: the parser's own message quotes the input. */
function jsonProblem(error: unknown): string {
  if (!(error instanceof SyntaxError)) return 'Invalid JSON: not valid UTF-8';
  const position = / in JSON at position (\d+)(?: \(line \d+ column \d+\))?$/.exec(error.message)?.[1];
  return position === undefined ? 'Invalid JSON' : `Invalid JSON at position ${position}`;
}
