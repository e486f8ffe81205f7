/**
 * Records outcomes and tells them: to the journal, to the index of known commands, to those who wait, to those who watch.
 *
 * The one place where a command ends. Whatever ends it comes through `settle`, and a command that has its outcome is left
 * alone: a late result changes nothing.
 */
import type { Command, Waiter } from './command.ts';
import { affect, placeOf } from './connection-effects.ts';
import type { SettledCommand } from './deduplication.ts';
import type { Connection } from './connection.ts';
import { SERVER_LANE } from './entry.ts';
import type { CommandFinished, CommandSettled, EntryDraft, EntryKind } from './entry.ts';
import { failure } from './message.ts';
import type { ConnectionEffect, Failure, Json, Outcome } from './message.ts';
import type { CommandRef, ParsedCommand } from './ports.ts';
import { auditRead } from './read-audit.ts';
import type { Owed } from './release-queue.ts';
import { outcomeOf } from './stored-outcome.ts';
import type { Runtime } from './runtime.ts';
import type { SessionEvent, SessionFact } from './session/event.ts';
import type { Session } from './session/session.ts';
import type { Settled } from './settled-commands.ts';

/** How a command ends, and what comes with its end. */
export interface Verdict {
  readonly outcome: Outcome;
  readonly events?: readonly SessionEvent[];
  readonly facts?: readonly SessionFact[];
  readonly effects?: readonly ConnectionEffect[];
  readonly unchanged?: true;
  readonly interrupted?: true;
  readonly recovered?: string;
  readonly resume?: Json;
  /** The time that the outcome speaks of, if it does. */
  readonly at?: number;
  /** Where it is recorded if there is no session; the server's journal lane unless it says so. */
  readonly lane?: string;
  /** Told to everyone who watches sessions, after the response. */
  readonly notice?: { readonly type: string; readonly data: Json };
}

/** Drafts are built field by field: on this path a spread per optional field costs more than the record. */
type Draft<E> = { -readonly [K in keyof E]?: E[K] };

export class Outcomes {
  /** Called after an outcome was told; set while someone waits for the last one. */
  onTold: (() => void) | undefined;
  /** Makes the ids of commands without one unique across restarts. */
  boot = 0;
  /** The journal can't be written: what is read is what was durable last. */
  stale = false;
  /** Nor can it be read. */
  blind = false;
  readonly #runtime: Runtime;
  #nameless = 0;
  /** What those hear whose commands are not durable; set when the journal, or this part of the runtime, has failed. */
  #refusal = failure('JOURNAL_UNAVAILABLE', 'The journal can not be written: the command was not accepted');
  /** Commands without an answer whose acceptance is durable, by its offset: they have an outcome to come. */
  readonly survivors = new Map<number, Command>();

  constructor(runtime: Runtime) {
    this.#runtime = runtime;
  }

  /** Gives a command its outcome. `session` is the one it acted on, if it exists. */
  settle(command: Command, verdict: Verdict, session: Session | undefined): void {
    if (command.outcome !== undefined) return;
    const { outcome } = verdict;
    const { contract } = command;
    const changes = contract.journalled && outcome.success && verdict.unchanged !== true;
    let version = session?.state?.version;
    let offset = 0;
    if (contract.journalled) {
      const opens = verdict.facts?.[0]?.type === 'session.opened';
      if (opens) version = 0;
      else if (changes && version !== undefined) version += 1;
      offset = this.#record(command, verdict, outcome.success ? version : undefined, session);
    } else if (this.#runtime.limits.auditReads) {
      const { commandId, commandType, explicitId, sessionId, principal } = command;
      const read = { commandId, commandType, explicitId, sessionId, principal: principal.id };
      auditRead(this.#runtime, read, !this.stale);
    }
    // Only now: when recording throws, the command has no outcome yet, and whoever rebuilds the session finds it so.
    this.#end(command, outcome);
    const shown =
      outcome.success && contract.target !== 'server' && session?.state?.closed == null ? version : undefined;
    this.#remember(command, verdict, offset, shown);
    this.#step(command, outcome);
    this.#release(command, verdict, shown, session);
    this.#resolveDependents(command);
  }

  #resolveDependents(command: Command): void {
    const dependents = command.dependents;
    command.dependents = undefined;
    if (dependents !== undefined) for (const resolve of dependents) resolve(command);
  }

  #end(command: Command, outcome: Outcome): void {
    command.outcome = outcome;
    const { counters } = this.#runtime;
    if (command.counted) counters.count(outcome);
    command.timer?.cancel();
    command.timer = undefined;
    command.dependencyTimer?.cancel();
    command.dependencyTimer = undefined;
  }

  /** Refuses a frame that is a command but was not admitted: not stored, and nothing but `command_finished` is shown. */
  refuse(connection: Connection, parsed: ParsedCommand, refusal: Failure, lifecycle: boolean): void {
    const { counters, frames, subscriptions } = this.#runtime;
    const { contract, frame } = parsed;
    counters.countRefused(refusal.errorCode);
    const ref = this.#refOf(parsed);
    const tell = (): void => {
      if (lifecycle) subscriptions.announceLifecycle(frames.finished(ref, refusal, undefined, false), connection);
      connection.sendResponse(frames.response(contract.type, frame.id, refusal, undefined));
    };
    this.hold(connection, 0, { tell });
  }

  /** Answers again with a stored outcome. */
  replay(connection: Connection, parsed: ParsedCommand, known: SettledCommand, outcome: Outcome): void {
    const { frames, subscriptions } = this.#runtime;
    const { contract, frame } = parsed;
    this.#runtime.counters.replayed += 1;
    const early = frame.respond === 'accepted' && outcome.success && contract.turn;
    const answer: Outcome = early ? { success: true, data: { accepted: true } } : outcome;
    const ref = this.#refOf(parsed);
    const audited = this.#runtime.limits.auditReads && !contract.journalled;
    if (audited) {
      const { commandId, commandType, sessionId } = ref;
      const read = { commandId, commandType, explicitId: frame.id !== undefined, sessionId };
      auditRead(this.#runtime, { ...read, principal: connection.principal.id }, !this.stale);
    }
    const tell = (durable: boolean): void => {
      if (!durable && (audited || known.offset > this.#runtime.writer.durableOffset)) {
        connection.sendResponse(frames.response(contract.type, frame.id, this.#refusal, undefined));
        return;
      }
      const text = frames.finished(ref, outcome, known.sessionVersion, true);
      subscriptions.announceLifecycle(text, connection);
      connection.sendResponse(frames.response(contract.type, frame.id, answer, known.sessionVersion, 'replayed'));
    };
    // The outcome may have been recorded a moment ago: its answer never leaves before it is durable.
    this.hold(connection, this.#runtime.writer.newestBatch, { tell });
  }

  /** Answers a command under the storage trouble that ended what it was to end: it acted, and nothing of it is durable. */
  answerUndurable(connection: Connection, { contract, frame }: ParsedCommand): void {
    const text = this.#runtime.frames.response(contract.type, frame.id, { success: true }, undefined, 'undurable');
    this.hold(connection, 0, { tell: () => connection.sendResponse(text) });
  }

  /** From now on nothing becomes durable. What is held is dropped; who waits for an answer gets `refusal`, or survives. */
  abandon(refusal: Failure): void {
    this.#refusal = refusal;
    this.#runtime.releases.abandon();
  }

  /** A command that will have no outcome here. If its acceptance is durable it has one to come; else it was never accepted. */
  forsake(command: Command): void {
    const { counters, writer } = this.#runtime;
    if (command.counted && command.outcome !== undefined) counters.uncount(command.outcome);
    command.outcome ??= this.#refusal;
    command.told = false;
    command.timer?.cancel();
    command.dependencyTimer?.cancel();
    if (command.acceptedOffset > 0 && command.acceptedOffset <= writer.durableOffset) {
      this.survivors.set(command.acceptedOffset, command);
      // It has none yet: the one that comes is counted.
      command.outcome = undefined;
      return;
    }
    if (command.counted) counters.admitted -= 1;
    counters.countRefused(this.#refusal.errorCode);
    for (const waiter of command.waiters) this.#answer(command, waiter, this.#refusal, undefined);
  }

  /** It is in no journal and can't act now: nothing is known of it from here on, so that the same frame may come again. */
  withdraw(command: Command, refusal: Failure): void {
    const { counters, deduplication, frames, subscriptions } = this.#runtime;
    deduplication.forget(command.names, command);
    if (command.counted) counters.admitted -= 1;
    command.counted = false;
    counters.countRefused(refusal.errorCode);
    this.#end(command, refusal);
    command.told = true;
    this.#step(command, refusal);
    const finished = frames.finished(command, refusal, undefined, false);
    this.hold(command.origin, 0, { tell: () => subscriptions.announceLifecycle(finished, command.origin) });
    for (const waiter of command.waiters)
      this.hold(waiter.connection, 0, { tell: () => this.#answer(command, waiter, refusal, undefined) });
    this.#resolveDependents(command);
    this.onTold?.();
  }

  /** The journal turned out to hold the outcome of a command that nobody was told of. */
  restore(command: Command, entry: CommandSettled | CommandFinished): void {
    const outcome = outcomeOf(entry);
    const version = outcome.success ? entry.sessionVersion : undefined;
    if (command.outcome === undefined) this.#end(command, outcome);
    this.#remember(command, { outcome }, entry.offset, version);
    this.tellStored(command, outcome, version);
    this.#resolveDependents(command);
  }

  /** Answers those who wait for a command with an outcome that is known already. */
  tellStored(command: Command, outcome: Outcome, sessionVersion: number | undefined): void {
    command.told = true;
    const { frames, subscriptions } = this.#runtime;
    subscriptions.announceLifecycle(frames.finished(command, outcome, sessionVersion, false), command.origin);
    for (const waiter of command.waiters) this.#answer(command, waiter, outcome, sessionVersion);
  }

  /** The id of a command whose client gave it none. */
  nameless(): string {
    this.#nameless += 1;
    return `anon:${this.boot}:${this.#nameless}`;
  }

  /** What a server command calls `sessionId` is a field of its own and may be anything. */
  #refOf({ contract, frame }: ParsedCommand): CommandRef {
    return {
      commandId: frame.id ?? this.nameless(),
      commandType: contract.type,
      sessionId: contract.target === 'server' ? undefined : frame.sessionId,
      dependsOn: frame.dependsOn,
      ifSessionVersion: frame.ifSessionVersion,
      idempotencyKey: frame.idempotencyKey,
    };
  }

  /** Answers those who wanted to know only that the turn began; the others go on waiting. */
  answerEarly(command: Command, batch: number): void {
    const early = command.waiters.filter((waiter) => waiter.early);
    if (early.length === 0) return;
    command.waiters = command.waiters.filter((waiter) => !waiter.early);
    const outcome: Outcome = { success: true, data: { accepted: true } };
    for (const waiter of early) {
      const tell = (durable: boolean): void => {
        if (durable) this.#answer(command, waiter, outcome, undefined);
        else command.waiters.push(waiter);
      };
      this.hold(waiter.connection, batch, { tell });
    }
  }

  /** Holds a release for a connection: never before `batch` is durable, never before what it was to get earlier. */
  hold(connection: Connection | null, batch: number, release: (() => void) | Owed): void {
    const { releases } = this.#runtime;
    if (connection === null) {
      releases.hold(batch, release);
      return;
    }
    const after = Math.max(batch, this.#heldUntil(connection));
    if (after > releases.durable) this.#hold(connection, after);
    releases.hold(after, release);
  }

  /** A connection that left while a core was replaced may be one of those who wait: its number means nothing here. */
  #heldUntil({ heldBy, heldUntil }: Connection): number {
    return heldBy === this.#runtime.releases ? heldUntil : 0;
  }

  #hold(connection: Connection, until: number): void {
    connection.heldBy = this.#runtime.releases;
    connection.heldUntil = until;
  }

  #record(command: Command, verdict: Verdict, version: number | undefined, session: Session | undefined): number {
    const { outcome } = verdict;
    const content: Draft<CommandSettled['content'] & CommandFinished['content']> = {};
    if (outcome.success) {
      if (outcome.data !== undefined) content.data = outcome.data;
    } else {
      content.error = outcome.error;
      if (outcome.details !== undefined) content.details = outcome.details;
    }
    if (verdict.events !== undefined && verdict.events.length > 0) content.events = verdict.events;
    if (verdict.facts !== undefined && verdict.facts.length > 0) content.facts = verdict.facts;
    if (verdict.resume !== undefined) content.resume = verdict.resume;

    const draft: Draft<Omit<CommandSettled, 'kind'> & Omit<CommandFinished, 'kind'>> & { kind?: EntryKind } = {};
    draft.kind = command.acceptedOffset === 0 ? 'command.settled' : 'command.finished';
    draft.commandId = command.commandId;
    draft.commandType = command.commandType;
    if (command.acceptedOffset === 0) {
      identify(draft, command);
      content.command = command.text;
    } else {
      draft.acceptedOffset = command.acceptedOffset;
      if (command.sessionId !== undefined) draft.sessionId = command.sessionId;
      if (verdict.interrupted !== undefined) draft.interrupted = true;
      if (verdict.recovered !== undefined) draft.recovered = verdict.recovered;
      if (command.contract.activity === 'none') draft.passive = true;
    }
    draft.success = outcome.success;
    if (!outcome.success) {
      draft.errorCode = outcome.errorCode;
      if (outcome.timedOut !== undefined) draft.timedOut = true;
    }
    if (version !== undefined) draft.sessionVersion = version;
    const events = verdict.events?.length ?? 0;
    if (events > 0 && session?.state !== undefined) draft.seq = session.state.seq + events;
    draft.content = content as CommandSettled['content'];
    const whole = draft as EntryDraft;
    if (session !== undefined) return session.record(whole, verdict.at).offset;
    return this.#runtime.writer.append(verdict.lane ?? SERVER_LANE, whole).offset;
  }

  #remember(command: Command, verdict: Verdict, offset: number, version: number | undefined): void {
    const { names } = command;
    if (names.byId === undefined && names.byKey === undefined) return;
    const settled: Settled = {
      commandType: command.commandType,
      success: verdict.outcome.success,
      offset,
      sessionVersion: version,
      runsAgain: verdict.effects !== undefined && verdict.effects.length > 0,
    };
    // The text is not the one by which a repetition is known: the journal has the fingerprint of that.
    if (command.redacted) this.#runtime.deduplication.restore(names, settled);
    else this.#runtime.deduplication.settle(names, settled, command.text, verdict.outcome);
  }

  #step(command: Command, outcome: Outcome): void {
    const observe = this.#runtime.onCommandStep;
    if (observe === undefined) return;
    if (outcome.success) observe(command, 'command.succeeded');
    else if (outcome.timedOut === true) observe(command, 'command.timedOut');
    else if (outcome.errorCode === 'COMMAND_ABORTED' || outcome.errorCode === 'INTERRUPTED')
      observe(command, 'command.cancelled');
    else observe(command, 'command.failed');
  }

  #release(command: Command, verdict: Verdict, version: number | undefined, session: Session | undefined): void {
    const { frames, subscriptions, writer } = this.#runtime;
    const recorded = command.contract.journalled || this.#runtime.limits.auditReads;
    const batch = recorded ? writer.newestBatch : (session?.lastBatch ?? writer.newestBatch);
    const { origin, started, accepted } = command;
    // Where the events end, and an attach's snapshot: taken now, because the session goes on before the frames leave.
    const state = session?.state;
    const shows = verdict.events !== undefined || verdict.effects !== undefined;
    const place = shows && state !== undefined ? placeOf(state, writer.offset) : undefined;
    let after = batch;
    for (const waiter of command.waiters) after = Math.max(after, this.#heldUntil(waiter.connection));
    for (const waiter of command.waiters) this.#hold(waiter.connection, after);
    if (verdict.effects !== undefined) session?.showAfter(after);
    const tell = (durable: boolean): void => {
      if (!durable) {
        for (const effect of verdict.effects ?? []) {
          if (effect.type === 'attach' && origin !== null) subscriptions.forfeit(effect.sessionId, origin);
        }
        this.forsake(command);
        return;
      }
      if (!accepted) subscriptions.announceLifecycle(frames.accepted(command), origin);
      if (!started && command.reachedHead) subscriptions.announceLifecycle(frames.started(command), origin);
      if (place !== undefined && verdict.events !== undefined) session?.publish(verdict.events, place);
      subscriptions.announceLifecycle(frames.finished(command, verdict.outcome, version, false), origin);
      for (const waiter of command.waiters) {
        this.#answer(command, waiter, verdict.outcome, version);
        if (verdict.effects === undefined || !waiter.connection.isOpen) continue;
        affect(this.#runtime, waiter.connection, verdict.effects, place);
      }
      if (verdict.notice !== undefined) {
        subscriptions.announceSession(frames.notice(verdict.notice.type, verdict.notice.data));
      }
      this.onTold?.();
    };
    command.told = true;
    this.#runtime.releases.hold(after, { tell });
    session?.showExtension();
  }

  #answer(command: Command, waiter: Waiter, outcome: Outcome, version: number | undefined): void {
    const { frames } = this.#runtime;
    if (command.countsAsPending) waiter.connection.pending -= 1;
    const mark = waiter.replayed ? 'replayed' : this.stale && outcome.success ? 'stale' : undefined;
    waiter.connection.sendResponse(frames.response(command.commandType, waiter.id, outcome, version, mark));
  }
}

/** The envelope that every entry which accepts a command carries. */
export function identify(draft: Draft<Omit<CommandSettled, 'kind'>>, command: Command): void {
  const { frame } = command;
  draft.commandId = command.commandId;
  draft.commandType = command.commandType;
  draft.explicitId = command.explicitId;
  draft.principal = command.principal.id;
  draft.mailbox = command.contract.lane;
  if (command.sessionId !== undefined) draft.sessionId = command.sessionId;
  if (frame.idempotencyKey !== undefined) draft.idempotencyKey = frame.idempotencyKey;
  if (command.keyScope !== undefined) draft.keyScope = command.keyScope;
  if (frame.traceparent !== undefined) draft.traceparent = frame.traceparent;
  if (command.contract.activity === 'none') draft.passive = true;
  if (frame.dependsOn !== undefined && frame.dependsOn.length > 0) draft.dependsOn = frame.dependsOn;
}
