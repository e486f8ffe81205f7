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

  constructor(runtime: Runtime, end: (command: Command, outcome: Failure) => void) {
    this.#runtime = runtime;
    this.#end = end;
  }

  /** A command that waits behind a turn has the time of a turn; one that is settled at once never gets here. */
  set(command: Command): void {
    if (command.contract.timeout !== 'none') command.deadlineAt = command.admittedAt + this.#runtime.limits.longMs;
  }

  arm(command: Command): void {
    const { deadlineAt } = command;
    if (deadlineAt === undefined || command.timer !== undefined || command.outcome !== undefined) return;
    command.timer = this.#runtime.wheel.arm(deadlineAt, () => this.#end(command, timeout(command, deadlineAt)));
  }

  awaitDependencies(command: Command): void {
    if (command.dependencyTimer !== undefined) return;
    const { clock, limits, wheel } = this.#runtime;
    const waitMs = limits.dependencyMs;
    command.dependencyTimer = wheel.arm(clock.now() + waitMs, () => {
      const ids = command.dependsOn?.join(', ') ?? '';
      const error = `Command 'dependsOn:${ids}' timed out after ${waitMs}ms`;
      this.#end(command, { ...failure('DEPENDENCY_TIMEOUT', error), timedOut: true });
    });
  }
}

export function timeout(command: Command, deadlineAt: number): Failure {
  const error = `Command '${command.commandType}' timed out after ${deadlineAt - command.admittedAt}ms`;
  return { ...failure('COMMAND_TIMEOUT', error), timedOut: true };
}
