/**
 * Answers commands that are known already: with the stored outcome, with the one that is on its way, or with a conflict.
 *
 * An outcome that is no longer at hand is looked up in the journal, and its arrival is an event of the router's. State:
 * volatile (who waits for a look-up).
 */
import { pendingRefusal } from './admission.ts';
import type { Command } from './command.ts';
import type { Connection } from './connection.ts';
import { isSettled } from './deduplication.ts';
import type { Known, SettledCommand } from './deduplication.ts';
import { failure } from './message.ts';
import type { Outcome } from './message.ts';
import type { Outcomes } from './outcomes.ts';
import type { ParsedCommand } from './ports.ts';
import type { Runtime } from './runtime.ts';
import { outcomeOf } from './stored-outcome.ts';

/** A settled command as the journal holds it. */
interface StoredCommand {
  readonly fingerprint: string | undefined;
  readonly outcome: Outcome;
}

/** A look-up has come to its end; `stored` is absent when the journal could not be read, and gone when it was dropped. */
export interface OutcomeLoaded {
  readonly type: 'outcome.loaded';
  readonly parsed: ParsedCommand;
  readonly connection: Connection;
  readonly known: SettledCommand;
  readonly byKey: boolean;
  readonly stored: StoredCommand | 'gone' | undefined;
}

export class Replays {
  readonly #runtime: Runtime;
  readonly #outcomes: Outcomes;
  readonly #onLoaded: (event: OutcomeLoaded) => void;
  /** Outcomes that are being looked up for somebody; each gives up when it is called. */
  readonly #loads = new Set<() => void>();

  constructor(runtime: Runtime, outcomes: Outcomes, onLoaded: (event: OutcomeLoaded) => void) {
    this.#runtime = runtime;
    this.#outcomes = outcomes;
    this.#onLoaded = onLoaded;
  }

  /** Look-ups under way. */
  get size(): number {
    return this.#loads.size;
  }

  /** Who waits for a look-up is told that it can't be had now. */
  abandon(): void {
    for (const giveUp of this.#loads) giveUp();
  }

  /** A command under the same id or key is known. False: it acted on its connection, and acts again on this one. */
  meet(parsed: ParsedCommand, connection: Connection, known: Known, byKey: boolean): boolean {
    const before = isSettled(known) ? known.kept : known;
    if (before === undefined) {
      this.#load(parsed, connection, known as SettledCommand, byKey);
      return true;
    }
    const { fingerprint } = this.#runtime;
    if (before.text !== parsed.text && fingerprint(before.text) !== fingerprint(parsed.text)) {
      this.#conflict(parsed, connection, known, byKey);
    } else if (!isSettled(known)) {
      this.#join(known, parsed, connection);
    } else if (known.runsAgain) {
      return false;
    } else {
      this.#outcomes.replay(connection, parsed, known, known.kept!.outcome);
    }
    return true;
  }

  /** The same command is on its way: its outcome answers both. */
  #join(command: Command, parsed: ParsedCommand, connection: Connection): void {
    if (this.refusesToWait(parsed, connection)) return;
    const early = parsed.frame.respond === 'accepted';
    if (command.countsAsPending) connection.pending += 1;
    this.#runtime.counters.replayed += 1;
    command.waiters.push({ connection, id: parsed.frame.id, replayed: true, early });
    if (early && command.started) this.#outcomes.answerEarly(command, this.#runtime.writer.newestBatch);
  }

  #conflict(parsed: ParsedCommand, connection: Connection, known: Known, byKey: boolean): void {
    const { contract, frame } = parsed;
    const name = byKey ? `idempotencyKey '${String(frame.idempotencyKey)}'` : `id '${String(frame.id)}'`;
    const error = `Conflicting ${name}: previously used for '${known.commandType}', now used for '${contract.type}'`;
    this.#outcomes.refuse(connection, parsed, failure(byKey ? 'IDEMPOTENCY_CONFLICT' : 'ID_CONFLICT', error), true);
  }

  /** Whoever asks again and has to wait for the answer takes a place like whoever asks for the first time. */
  refusesToWait(parsed: ParsedCommand, connection: Connection): boolean {
    const refusal = pendingRefusal(this.#runtime, parsed, connection);
    if (refusal !== undefined) this.#outcomes.refuse(connection, parsed, refusal, true);
    return refusal !== undefined;
  }

  /** The outcome is no longer at hand: the journal has it, as soon as it is durable. */
  #load(parsed: ParsedCommand, connection: Connection, known: SettledCommand, byKey: boolean): void {
    if (this.refusesToWait(parsed, connection)) return;
    const { telemetry, journal, releases, writer } = this.#runtime;
    connection.pending += 1;
    const loaded = async (): Promise<StoredCommand | 'gone' | undefined> => {
      const end = await journal.read(known.offset);
      // Of what is durable nothing is missing but what was dropped.
      if (end === undefined) return known.offset <= writer.durableOffset ? 'gone' : undefined;
      if (end?.entry.kind === 'command.settled') return { fingerprint: end.fingerprint, outcome: outcomeOf(end.entry) };
      if (end?.entry.kind !== 'command.finished') return undefined;
      const start = await journal.read(end.entry.acceptedOffset);
      if (start === undefined) return 'gone';
      return { fingerprint: start.fingerprint, outcome: outcomeOf(end.entry) };
    };
    const tell = (stored: StoredCommand | 'gone' | undefined): void => {
      if (!this.#loads.delete(giveUp)) return;
      connection.pending -= 1;
      this.#onLoaded({ type: 'outcome.loaded', parsed, connection, known, byKey, stored });
    };
    const giveUp = (): void => tell(undefined);
    this.#loads.add(giveUp);
    releases.hold(writer.newestBatch, () => {
      loaded().then(tell, (error: unknown) => {
        telemetry.observe({ level: 'error', message: 'stored outcome could not be read', error: String(error) });
        tell(undefined);
      });
    });
  }

  /** The look-up is over. */
  loaded({
    parsed,
    connection,
    known,
    byKey,
    stored,
  }: OutcomeLoaded & { readonly stored: StoredCommand | undefined }): void {
    if (stored === undefined) {
      const error = 'The stored outcome of this command can not be read now';
      this.#outcomes.refuse(connection, parsed, failure('JOURNAL_UNAVAILABLE', error), true);
    } else if (stored.fingerprint !== this.#runtime.fingerprint(parsed.text)) {
      this.#conflict(parsed, connection, known, byKey);
    } else {
      this.#outcomes.replay(connection, parsed, known, stored.outcome);
    }
  }
}
