/**
 * How long a command may wait: its timeout, counted from admission, and its patience with dependencies. Deadlines are absolute
 * times; a timeout is terminal, and what has its outcome is never looked at again. State: rebuildable.
 */
import type { Command } from '../command.ts';
import { failure } from '../message.ts';
import type { Failure } from '../message.ts';
import type { Runtime } from '../runtime.ts';

export class Deadlines {
  readonly #runtime: Runtime;
  readonly #end: (command: Command, outcome: Failure) => void;
  #retired = false;

  constructor(runtime: Runtime, end: (command: Command, outcome: Failure) => void) {
    this.#runtime = runtime;
    this.#end = end;
  }

  /**
   * Sets the deadline of a command that has to wait; one that is settled at once needs none. Work that waits behind a turn has
   * the time of a turn, whatever its own class.
   */
  set(command: Command): void {
    const { lane, timeout } = command.contract;
    if (timeout === 'none') return;
    const { longMs, shortMs } = this.#runtime.limits;
    command.deadlineAt = command.admittedAt + (timeout === 'long' || lane === 'work' ? longMs : shortMs);
  }

  /** It waits for its session, however long reading that takes. */
  await(command: Command): void {
    this.set(command);
    this.arm(command);
  }

  /** Another mailbox takes over: what is still held here arms nothing. */
  retire(): void {
    this.#retired = true;
  }

  arm(command: Command): void {
    if (this.#retired) return;
    const { deadlineAt } = command;
    if (deadlineAt === undefined || command.timer !== undefined || command.outcome !== undefined) return;
    command.timer = this.#runtime.wheel.arm(deadlineAt, () => this.#end(command, timeout(command, deadlineAt)));
  }

  /** Another mailbox takes the command over: its time goes on there. */
  disarm(command: Command): void {
    command.timer?.cancel();
    command.timer = undefined;
    command.dependencyTimer?.cancel();
    command.awaitsDependencies = false;
  }

  /** It does not wait for its dependencies any more. */
  resolve(command: Command): void {
    if (!command.awaitsDependencies) return;
    command.awaitsDependencies = false;
    command.dependencyTimer?.cancel();
    this.#runtime.onCommandStep?.(command, 'dependencies.resolved');
  }

  /** From now on only its dependencies hold it up. The timer is armed when its acceptance is durable. */
  awaitDependencies(command: Command): void {
    if (command.awaitsDependencies) return;
    command.awaitsDependencies = true;
    const { clock, limits, releases, wheel, writer } = this.#runtime;
    const waitMs = limits.dependencyMs;
    const deadlineAt = clock.now() + waitMs;
    releases.hold(writer.newestBatch, () => {
      if (this.#retired || command.unresolved === 0 || command.outcome !== undefined) return;
      command.dependencyTimer = wheel.arm(deadlineAt, () => {
        const ids = command.dependsOn?.join(', ') ?? '';
        const error = `Command 'dependsOn:${ids}' timed out after ${waitMs}ms`;
        this.#end(command, { ...failure('DEPENDENCY_TIMEOUT', error), timedOut: true });
      });
    });
  }
}

export function timeout(command: Command, deadlineAt: number): Failure {
  const error = `Command '${command.commandType}' timed out after ${deadlineAt - command.admittedAt}ms`;
  return { ...failure('COMMAND_TIMEOUT', error), timedOut: true };
}
