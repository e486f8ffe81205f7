/**
 * The router: an actor that takes command envelopes, knows which of them it has seen before, and dispatches the new ones to
 * the mailboxes of their sessions. State: rebuildable (from the journal).
 */
import { fromTransition } from 'xstate';
import { admissionRefusal, unavailable } from './admission.ts';
import { Command, countsAsPending } from './command.ts';
import type { Connection } from './connection.ts';
import { namesOf, SERVER_SCOPE } from './names.ts';
import type { Names } from './names.ts';
import { tie } from './dependencies.ts';
import { Directory } from './directory.ts';
import { failure } from './message.ts';
import { Outcomes } from './outcomes.ts';
import type { Early, Phase } from './phase.ts';
import type { ParsedCommand } from './ports.ts';
import { Replays } from './replays.ts';
import type { OutcomeLoaded } from './replays.ts';
import type { Runtime } from './runtime.ts';
import type { Frozen } from './session/frozen.ts';

/** What the router is sent. */
export type RouterEvent =
  | { readonly type: 'command.received'; readonly parsed: ParsedCommand; readonly connection: Connection }
  | OutcomeLoaded;

export class Router {
  readonly outcomes: Outcomes;
  readonly directory: Directory;
  readonly #runtime: Runtime;
  readonly #replays: Replays;
  /** Commands whose last dependency was resolved while another command was being settled. */
  readonly #resolved: Command[] = [];
  #depth = 0;
  #phase: Phase = 'unread';
  /** Given up: what comes now waits for the router that takes its place. */
  #frozen = false;
  /** Commands that came before the journal was read again, in order. */
  #early: Early[] = [];
  /** Admitted, and in no mailbox yet. */
  #handling: Command | undefined;
  #onQuiet: (() => void) | undefined;

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
    this.outcomes = new Outcomes(runtime);
    this.#replays = new Replays(runtime, this.outcomes, (event) => {
      this.handle(event);
      this.#noticeQuiet();
    });
    this.directory = new Directory(runtime, this.outcomes);
  }

  get phase(): Phase {
    return this.#phase;
  }

  /** From now on commands are admitted. `boot` makes the ids of commands without one unique across restarts. */
  open(boot: number): void {
    this.outcomes.boot = boot;
    this.#serve('open');
    if (!this.#frozen) this.directory.goLive();
  }

  /** The journal can't be written, or can't even be read: answers what can be answered until it is opened again. */
  degrade(phase: 'blind' | 'stale'): void {
    this.#serve(phase);
  }

  #serve(phase: 'blind' | 'stale' | 'open'): void {
    if (this.#frozen || this.#phase === 'draining') return;
    this.#phase = phase;
    this.outcomes.stale = phase !== 'open';
    this.outcomes.blind = phase === 'blind';
    this.#answerEarly();
  }

  #answerEarly(): void {
    const early = this.#early;
    this.#early = [];
    for (const { parsed, connection } of early) {
      if (countsAsPending(parsed.contract)) connection.pending -= 1;
      this.handle({ type: 'command.received', parsed, connection });
    }
  }

  /** Nothing acts any more: turns are told to stop, timers are off. What was recorded may still become durable. */
  freeze(): Frozen[] {
    this.#phase = 'unread';
    this.#frozen = true;
    return this.directory.freeze();
  }

  /** Gives up the commands that wait for something else than an outcome of their own. What came too late is handed over. */
  abandon(): readonly Early[] {
    this.#replays.abandon();
    if (this.#handling !== undefined) this.outcomes.forsake(this.#handling);
    return this.#early;
  }

  /** What came to the router before this one. */
  takeOver(early: readonly Early[]): void {
    this.#early = [...early];
  }

  /** From now on new commands are refused; `onQuiet` is called once no turn runs and nothing waits. */
  drain(onQuiet: () => void): void {
    this.#phase = 'draining';
    this.#onQuiet = onQuiet;
    this.outcomes.onTold = () => this.#noticeQuiet();
    this.#answerEarly();
    this.#noticeQuiet();
  }

  /** Ends all that still waits or runs; settles when no session is on its way into memory any more. */
  endAll(reason: string): Promise<void> {
    const { mailboxes: listed, server } = this.directory;
    const mailboxes = [server, ...listed.values()];
    for (const mailbox of mailboxes) mailbox.endAll(failure('COMMAND_ABORTED', reason));
    this.#settleResolved();
    return this.directory.settled();
  }

  handle(event: RouterEvent): void {
    this.#depth += 1;
    try {
      if (event.type === 'command.received') this.#receive(event.parsed, event.connection);
      else if (event.stored === 'gone') this.#forget(event);
      else this.#replays.loaded({ ...event, stored: event.stored });
    } catch (error) {
      this.#runtime.crashed(error);
      if (this.#handling === undefined) this.outcomes.refuse(event.connection, event.parsed, unavailable(), false);
    }
    this.#depth -= 1;
    this.#settleResolved();
  }

  /** Recovery: takes work of an earlier boot back, in order of its admission. */
  requeue(commands: readonly Command[]): void {
    const { deduplication } = this.#runtime;
    for (const command of commands) {
      deduplication.register(command.names, command);
      // One that was admitted before a rebuild in place is counted already.
      if (!command.counted) this.#runtime.counters.requeued += 1;
      command.counted = true;
    }
    this.#depth += 1;
    for (const command of commands) {
      tie(deduplication, command, command.dependsOn ?? [], () => this.#resolve(command));
      const { directory } = this;
      const atServer = command.contract.target === 'server';
      (atServer ? directory.server : directory.mailbox(command.sessionId ?? '')).requeue(command);
    }
    for (const mailbox of [...this.directory.mailboxes.values()]) mailbox.guard(() => mailbox.pump());
    this.#depth -= 1;
    this.#settleResolved();
  }

  #receive(parsed: ParsedCommand, connection: Connection): void {
    const { frame } = parsed;
    if (this.#phase === 'draining') {
      this.outcomes.refuse(connection, parsed, failure('SHUTTING_DOWN', 'Server is shutting down'), false);
      return;
    }
    if (this.#phase === 'unread') {
      this.#await(parsed, connection);
      return;
    }
    const keyScope = frame.idempotencyKey === undefined ? undefined : this.#keyScope(parsed);
    const names = namesOf(connection.principal.id, frame.id, keyScope, frame.idempotencyKey);
    const { deduplication } = this.#runtime;
    const sameKey = names.byKey === undefined ? undefined : deduplication.find(names.byKey);
    if (sameKey !== undefined && this.#replays.meet(parsed, connection, sameKey, true)) return;
    const sameId = names.byId === undefined ? undefined : deduplication.find(names.byId);
    if (sameId !== undefined && this.#replays.meet(parsed, connection, sameId, false)) return;
    this.#admit(parsed, connection, keyScope, names);
  }

  /** The entry of its outcome was dropped: the name is new. */
  #forget({ parsed, connection, byKey }: OutcomeLoaded): void {
    const { frame } = parsed;
    const keyScope = frame.idempotencyKey === undefined ? undefined : this.#keyScope(parsed);
    const names = namesOf(connection.principal.id, frame.id, keyScope, frame.idempotencyKey);
    const name = byKey ? names.byKey : names.byId;
    if (name !== undefined) this.#runtime.deduplication.forgetDropped(name);
    this.#receive(parsed, connection);
  }

  #await(parsed: ParsedCommand, connection: Connection): void {
    if (this.#replays.refusesToWait(parsed, connection)) return;
    if (countsAsPending(parsed.contract)) connection.pending += 1;
    this.#early.push({ parsed, connection });
  }

  #admit(parsed: ParsedCommand, connection: Connection, keyScope: string | undefined, names: Names): void {
    const { clock, deduplication, ids } = this.#runtime;
    const { contract, frame } = parsed;
    if (this.#phase !== 'open' && this.#degrades(parsed, connection)) return;
    const now = clock.now();
    this.#runtime.leases.run(now, frame.sessionId);
    const atServer = contract.target === 'server';
    const named = atServer ? undefined : frame.sessionId;
    const { directory } = this;
    const existing = atServer ? directory.server : named === undefined ? undefined : directory.find(named);
    const refusal = admissionRefusal(this.#runtime, parsed, connection, existing);
    if (refusal !== undefined) {
      this.outcomes.refuse(connection, parsed, refusal, true);
      return;
    }
    const sessionId = named ?? (contract.target === 'opens' ? ids.sessionId() : undefined);
    const command = new Command(
      parsed,
      {
        commandId: frame.id ?? this.outcomes.nameless(),
        explicitId: frame.id !== undefined,
        sessionId,
        keyScope,
        names,
      },
      connection.principal,
      connection,
      now,
    );
    if (command.countsAsPending) connection.pending += 1;
    this.#runtime.counters.admitted += 1;
    this.#handling = command;
    deduplication.register(names, command);
    this.#runtime.onCommandStep?.(command, 'command.admitted');
    if (frame.dependsOn !== undefined && frame.dependsOn.length > 0) {
      tie(deduplication, command, frame.dependsOn, () => this.#resolve(command));
    }
    const mailbox = atServer ? directory.server : directory.mailbox(sessionId ?? '');
    this.#handling = undefined;
    mailbox.admit(command);
  }

  /** What can't be admitted while the journal can't be written is answered here. */
  #degrades(parsed: ParsedCommand, connection: Connection): boolean {
    const { contract, frame } = parsed;
    const blind = this.#phase === 'blind';
    if (!contract.journalled && (contract.target === 'server' || !blind)) return false;
    const known = blind || this.directory.summary(frame.sessionId ?? '') !== undefined;
    // Its turn was told to stop when the journal failed: there is nothing left to end, and nothing to record it with.
    const interrupts = contract.target === 'session' && contract.interrupts === true;
    if (interrupts && known) this.outcomes.answerUndurable(connection, parsed);
    else this.outcomes.refuse(connection, parsed, unavailable(), true);
    return true;
  }

  /** A key of a session command is unique in its session's incarnation; making and ending one is a matter of the server. */
  #keyScope(parsed: ParsedCommand): string {
    const { contract, frame } = parsed;
    if (contract.target !== 'session' || contract.endsSession === true) return SERVER_SCOPE;
    if (frame.sessionId === undefined) return SERVER_SCOPE;
    return this.directory.incarnationOf(frame.sessionId) ?? `absent:${frame.sessionId}`;
  }

  /** Goes on with a command whose dependencies are all settled, once the settling is through: chains stay flat. */
  #resolve(command: Command): void {
    this.#resolved.push(command);
    if (this.#depth === 0) this.#settleResolved();
  }

  #settleResolved(): void {
    if (this.#depth > 0) return;
    this.#depth += 1;
    for (let command = this.#resolved.shift(); command !== undefined; command = this.#resolved.shift()) {
      if (command.outcome !== undefined) continue;
      const { contract, sessionId } = command;
      const { directory } = this;
      const mailbox = contract.target === 'server' ? directory.server : directory.find(sessionId ?? '');
      mailbox?.resolved(command);
    }
    this.#depth -= 1;
  }

  #noticeQuiet(): void {
    if (this.#onQuiet === undefined) return;
    // What has its outcome may still stand in its place; of what was given up nothing ends here any more.
    const { mailboxes: listed, server } = this.directory;
    const mailboxes = this.#frozen ? [] : [server, ...listed.values()];
    if (this.#replays.size > 0 || mailboxes.some((mailbox) => mailbox.pending().length > 0)) return;
    const onQuiet = this.#onQuiet;
    this.#onQuiet = undefined;
    this.outcomes.onTold = undefined;
    onQuiet();
  }
}

/** The router as an actor: every command envelope is an event of it, visible to inspectors. */
export const routerLogic = fromTransition<Router, RouterEvent, never, Router>(
  (router, event) => {
    // XState tells it of its stop as well.
    if (event.type === 'command.received' || event.type === 'outcome.loaded') router.handle(event);
    return router;
  },
  ({ input }) => input,
);
