/**
 * What happens at the head of a lane before a command acts: does its session exist, is the version the expected one, and what
 * does its handler say.
 */
import type { Command } from '../command.ts';
import { failure } from '../message.ts';
import type { Decision, Failure, SessionView } from '../message.ts';
import type { Verdict } from '../outcomes.ts';
import type { Runtime } from '../runtime.ts';
import { lifetimeRefusal } from './expiry.ts';
import type { Session } from './session.ts';

/** Why a session is set aside: from this entry on its journal lane can't be folded, or it fails again and again. */
export interface Quarantine {
  readonly offset: number;
  readonly error: string;
}

/** Why the command can't act on the session as it is, if so. */
export function headRefusal(
  runtime: Runtime,
  command: Command,
  sessionId: string,
  session: Session | undefined,
  quarantine: Quarantine | undefined,
): Failure | undefined {
  const state = session?.state;
  if (command.dependencyFailure !== undefined) return command.dependencyFailure;
  if (quarantine !== undefined) {
    if (command.contract.target === 'session' && command.contract.endsSession === true) return undefined;
    const { offset, error } = quarantine;
    return failure('SESSION_QUARANTINED', `Session ${sessionId} is set aside: ${error}`, { offset });
  }
  const expected = command.ifSessionVersion;
  if (command.contract.target !== 'session') return undefined;
  const late = lifetimeRefusal(runtime, command, sessionId, session);
  if (late !== undefined) return late;
  if (state === undefined) {
    const suffix = expected === undefined ? '' : ` for ifSessionVersion=${expected}`;
    return failure('SESSION_NOT_FOUND', `Session ${sessionId} not found${suffix}`);
  }
  if (expected === undefined || expected === state.version) return undefined;
  const error = `Session version mismatch: expected ${expected}, got ${state.version}`;
  return failure('VERSION_MISMATCH', error, { expected, actual: state.version });
}

/** Thrown to a handler that asks for sessions while nobody knows them: the journal can't be read. It never sees none instead. */
export class NotFolded extends Error {
  override readonly name = 'NotFolded';
}

/** Asks the handler. It is pure: when it throws, nothing has happened, and the command alone has failed. */
export function decide(runtime: Runtime, command: Command, state: SessionView | undefined): Decision {
  const { contract, frame } = command;
  const { server, telemetry } = runtime;
  try {
    if (contract.target === 'server') return contract.decide(frame, server);
    return contract.decide(frame, state, server);
  } catch (error) {
    if (error instanceof NotFolded) return { do: 'settle', outcome: failure('JOURNAL_UNAVAILABLE', error.message) };
    const text = error instanceof Error ? (error.stack ?? error.message) : String(error);
    const { commandId } = command;
    telemetry.observe({ level: 'error', message: 'command handler threw', error: text, commandId });
    return { do: 'settle', outcome: failure('INTERNAL_ERROR', `The handler of '${contract.type}' failed`) };
  }
}

/** An attach takes its place among the connection's subscriptions now, and effect when its response leaves. */
export function reserveSubscription(
  command: Command,
  verdict: Verdict,
  sessionId: string,
  subscriptionsMax: number,
): Failure | undefined {
  const attached = command.origin?.attached;
  if (attached === undefined || verdict.effects?.some(({ type }) => type === 'attach') !== true) return undefined;
  if (!attached.has(sessionId) && attached.size >= subscriptionsMax) {
    return failure('TOO_MANY_SUBSCRIPTIONS', `This connection is attached to ${subscriptionsMax} sessions already`);
  }
  attached.add(sessionId);
  return undefined;
}
