/**
 * What a command type is here: its contract for the runtime, and the schema of its frames, in one value.
 *
 * The two builders fill in what most commands have in common and give the handler a frame whose fields are typed by the
 * schema. They are the only place that trusts the intake: a handler is called with frames that passed it. State: none.
 */
import { z } from 'zod';
import type {
  CommandActivity,
  CommandContract,
  CommandFrame,
  ConsultDecision,
  Decision,
  Failure,
  Json,
  MailboxLane,
  Scope,
  ServerView,
  SessionView,
  SettleDecision,
  TimeoutClass,
} from '../../actors/message.ts';
import { failure } from '../../actors/message.ts';
import type { ErrorCode } from '../protocol/errors.ts';

/** `schema` checks the whole frame but for its type, which led to this command. */
export type Command = CommandContract & { readonly schema: z.ZodObject };

type Frame<Fields extends z.ZodRawShape> = CommandFrame & z.output<z.ZodObject<Fields>>;

interface CommandSpec<Fields extends z.ZodRawShape> {
  readonly type: string;
  readonly scope: Scope;
  readonly lane: MailboxLane;
  /** Does it keep its session alive? Of each command somebody has to say so. */
  readonly activity: CommandActivity;
  /** One of `envelopes`, and the command's own fields behind it. */
  readonly fields: Fields;
  /** Default `short`. */
  readonly timeout?: TimeoutClass;
  /** Default: everything but reads. */
  readonly journalled?: boolean;
  /** Default false. */
  readonly idempotent?: boolean;
}

interface SessionCommandSpec<Fields extends z.ZodRawShape> extends CommandSpec<Fields> {
  /** Default false: settled in one step. */
  readonly turn?: boolean;
  /** Default false. */
  readonly endsSession?: boolean;
  /** Default false. */
  readonly interrupts?: boolean;
  decide(frame: Frame<Fields>, session: SessionView, server: ServerView): Decision;
}

interface OpeningCommandSpec<Fields extends z.ZodRawShape> extends CommandSpec<Fields> {
  decide(frame: Frame<Fields>, server: ServerView): Decision;
}

interface ServerCommandSpec<Fields extends z.ZodRawShape> extends CommandSpec<Fields> {
  decide(frame: Frame<Fields>, server: ServerView): SettleDecision | ConsultDecision;
}

/** A command on a session that exists. */
export function sessionCommand<Fields extends z.ZodRawShape>(spec: SessionCommandSpec<Fields>): Command {
  return {
    ...common(spec),
    turn: spec.turn ?? false,
    endsSession: spec.endsSession ?? false,
    interrupts: spec.interrupts ?? false,
    target: 'session',
    decide: (frame, session, server) => spec.decide(frame as Frame<Fields>, session!, server),
  };
}

/** A command that makes a session. */
export function openingCommand<Fields extends z.ZodRawShape>(spec: OpeningCommandSpec<Fields>): Command {
  return {
    ...common(spec),
    turn: false,
    target: 'opens',
    decide: (frame, _session, server) => spec.decide(frame as Frame<Fields>, server),
  };
}

/** A command that concerns no single session. */
export function serverCommand<Fields extends z.ZodRawShape>(spec: ServerCommandSpec<Fields>): Command {
  return {
    ...common(spec),
    turn: false,
    target: 'server',
    decide: (frame, server) => spec.decide(frame as Frame<Fields>, server),
  };
}

function common<Fields extends z.ZodRawShape>(spec: CommandSpec<Fields>) {
  return {
    type: spec.type,
    scope: spec.scope,
    lane: spec.lane,
    activity: spec.activity,
    journalled: spec.journalled ?? spec.lane !== 'read',
    timeout: spec.timeout ?? 'short',
    idempotent: spec.idempotent ?? false,
    schema: z.object(spec.fields),
  };
}

/** Settled with success, and nothing else happens. */
export function answer(data?: Json): SettleDecision {
  return { do: 'settle', outcome: data === undefined ? { success: true } : { success: true, data } };
}

/** Settled with a coded failure. */
export function refuse(code: ErrorCode, text: string, details?: Json): SettleDecision {
  return { do: 'settle', outcome: refusal(code, text, details) };
}

/** A coded failure whose code is one of the table. */
export function refusal(code: ErrorCode, text: string, details?: Json): Failure {
  return failure(code, text, details);
}
