/**
 * The opening of a session: the first work of its mailbox.
 *
 * It may take two waits: for the journal, which knows whether a session of this name was here before and where its chain
 * ended, and for an engine that has to be loaded. State: volatile until the session is opened; a creation that had to wait for
 * its engine was accepted by an entry and is taken up again after a restart.
 */
import { sessionMachine } from '../../machines/session.ts';
import type { Command } from '../command.ts';
import { sessionLane } from '../entry.ts';
import type { Intent } from '../host.ts';
import { failure } from '../message.ts';
import type { Decision, Failure, Json } from '../message.ts';
import type { Outcomes } from '../outcomes.ts';
import type { Engine } from '../ports.ts';
import type { Runtime } from '../runtime.ts';
import type { SessionOpened } from './event.ts';
import { openSession } from './evolve.ts';
import { policyFor } from './lease.ts';
import { Session } from './session.ts';

export type OpenDecision = Extract<Decision, { do: 'open' }>;

/** What the mailbox does about an opening. */
export interface OpeningOwner {
  readonly id: string;
  readonly epoch: string;
  readonly perform: (intent: Intent, session: Session) => void;
  /** Runs what a wait of the opening leads to. */
  readonly guard: (act: () => void) => void;
  /** The session is there, or refused (undefined); what waited behind the creation goes on. */
  opened(session: Session | undefined): void;
  /** The engine has to be loaded: what waits behind the creation is told so. */
  waits(command: Command): void;
}

export class Opening {
  readonly command: Command;
  readonly #decision: OpenDecision;
  readonly #runtime: Runtime;
  readonly #outcomes: Outcomes;
  readonly #owner: OpeningOwner;
  readonly #engine: Engine;
  #session: Session | undefined;
  #over = false;

  constructor(
    runtime: Runtime,
    outcomes: Outcomes,
    owner: OpeningOwner,
    engine: Engine,
    command: Command,
    decision: OpenDecision,
  ) {
    this.#runtime = runtime;
    this.#outcomes = outcomes;
    this.#owner = owner;
    this.#engine = engine;
    this.command = command;
    this.#decision = decision;
  }

  /** The session that is to be; undefined before the journal was asked. */
  get session(): Session | undefined {
    return this.#session;
  }

  begin(): void {
    const { journal, writer } = this.#runtime;
    const lane = sessionLane(this.#owner.id);
    if (writer.knows(lane)) {
      this.#proceed();
      return;
    }
    journal.head(lane).then(
      (laneSeq) => {
        this.#owner.guard(() => {
          if (!writer.knows(lane)) writer.adopt(lane, laneSeq);
          this.#proceed();
        });
      },
      (error: unknown) => {
        const outcome = failure('JOURNAL_UNAVAILABLE', `The journal can not be read: ${String(error)}`);
        this.#owner.guard(() => this.refuse(outcome));
      },
    );
  }

  /** Loads the engine; called when the acceptance of the creation is durable. */
  prepare(): void {
    const prepared = async (): Promise<void> => this.#engine.prepare();
    prepared().then(
      () => this.#owner.guard(() => this.#open()),
      (error: unknown) => {
        const outcome = failure('ENGINE_UNAVAILABLE', error instanceof Error ? error.message : String(error));
        this.#owner.guard(() => this.refuse(outcome));
      },
    );
  }

  /** Ends the opening without a session: its timeout, a drain, or an engine that can not be had. */
  refuse(outcome: Failure): void {
    if (this.#over) return;
    this.#over = true;
    this.#session?.tell({ type: 'opening.failed' });
    this.#session?.stop();
    this.#outcomes.settle(this.command, { outcome }, undefined);
    this.#owner.opened(undefined);
  }

  #proceed(): void {
    if (this.#over) return;
    this.#session = new Session(this.#runtime, this.#owner.id, this.#engine.kind, this.#owner.perform);
    if (this.#engine.ready) {
      this.#open();
      return;
    }
    this.#owner.waits(this.command);
    this.#session.tell({ type: 'engine.awaited' });
  }

  #open(): void {
    if (this.#over) return;
    this.#over = true;
    const { spec, respond } = this.#decision;
    const at = this.#runtime.clock.now();
    const fact: SessionOpened = {
      type: 'session.opened',
      sessionId: this.#owner.id,
      epoch: this.#owner.epoch,
      owner: this.command.principal.id,
      engine: this.#engine.kind,
      input: spec.input ?? null,
      name: spec.name ?? null,
      cwd: spec.cwd ?? null,
      labels: spec.labels ?? null,
      machineVersion: sessionMachine.version ?? '',
      lease: policyFor(this.#runtime.limits.lease, spec.ttlMs),
    };
    // As it will be; its entry, whose offset this is, is recorded with the answer in it.
    const data = respond(openSession(fact, at, this.#runtime.writer.offset + 1));
    const notice = { type: 'session_created', data };
    const session = this.#session!;
    this.#outcomes.settle(this.command, { outcome: { success: true, data }, facts: [fact], at, notice }, session);
    this.#owner.opened(session);
  }
}

/** Why a session can't be opened, or the engine that it is opened with. */
export function findEngine(
  runtime: Runtime,
  decision: OpenDecision,
  sessionId: string,
  existing: Session | undefined,
  sessionCount: number,
): Failure | Engine {
  if (existing !== undefined) return failure('SESSION_EXISTS', `Session ${sessionId} already exists`);
  const { sessionsMax } = runtime.limits;
  if (sessionCount >= sessionsMax) return failure('SESSION_LIMIT', `Session limit reached (${sessionsMax} sessions)`);
  const name = decision.spec.engine ?? runtime.defaultEngine;
  const engine = runtime.engines.get(name);
  if (engine === undefined) {
    const known = [...runtime.engines.keys()].join(', ');
    return failure('ENGINE_UNAVAILABLE', `There is no engine '${name}'; this server has: ${known}`);
  }
  const problem = inputProblem(runtime, engine, decision.spec.input ?? null);
  if (typeof problem === 'object') return problem;
  if (problem === undefined) return engine;
  const details = [{ path: 'input', code: 'invalid', message: problem }];
  return failure('VALIDATION_FAILED', `Validation failed: input: ${problem}`, details);
}

/** The session is gone: its engine drops what it keeps. An engine that throws there has its own problem. */
export function forget(runtime: Runtime, engine: string, sessionId: string): void {
  try {
    runtime.engines.get(engine)?.forget(sessionId);
  } catch (error) {
    runtime.telemetry.observe({ level: 'error', message: 'engine threw', error: String(error), sessionId });
  }
}

function inputProblem(runtime: Runtime, engine: Engine, input: Json): string | Failure | undefined {
  try {
    return engine.checkInput(input);
  } catch (error) {
    runtime.telemetry.observe({ level: 'error', message: 'engine threw', error: String(error) });
    return failure('ENGINE_FAILED', `The engine '${engine.kind}' could not check the input`);
  }
}
