/**
 * What a command has to wait for, resolved at its admission.
 *
 * A command may only depend on commands that are known already, so every edge points to an earlier admission and no deadlock
 * can form, across lanes and sessions too. State: rebuildable.
 */
import type { Command } from './command.ts';
import { isSettled } from './deduplication.ts';
import type { Deduplication } from './deduplication.ts';
import { idKey } from './names.ts';
import { failure } from './message.ts';
import type { Failure, Json } from './message.ts';
import type { ParsedCommand } from './ports.ts';

/** Why the dependencies of a frame can't be taken, if so. Nothing is changed. */
export function dependencyRefusal(
  deduplication: Deduplication,
  principalId: string,
  parsed: ParsedCommand,
): Failure | undefined {
  for (const id of parsed.frame.dependsOn ?? []) {
    if (id === parsed.frame.id) return failure('DEPENDENCY_SELF', `Command '${id}' cannot depend on itself`);
    if (deduplication.find(idKey(principalId, id)) === undefined) {
      return failure('DEPENDENCY_UNKNOWN', `Dependency '${id}' is unknown`);
    }
  }
  return undefined;
}

/**
 * Ties a command to what it depends on. `unresolved` counts those without an outcome; `onResolved` is called when the last one
 * has it. A dependency that failed, or that is no longer known, fails the command when its turn comes.
 */
export function tie(
  deduplication: Deduplication,
  command: Command,
  dependsOn: readonly string[],
  onResolved: () => void,
): void {
  for (const id of dependsOn) {
    const known = deduplication.find(idKey(command.principal.id, id));
    if (known === undefined) {
      // Known when the command was admitted, unknown after a restart: it was a read, and reads are not journalled.
      command.dependencyFailure ??= failed(id, LOST, { reason: LOST });
    } else if (isSettled(known)) {
      if (!known.success) {
        const outcome = known.kept?.outcome;
        command.dependencyFailure ??= failed(id, outcome?.success === false ? outcome.error : undefined);
      }
    } else {
      command.unresolved += 1;
      known.dependents ??= [];
      known.dependents.push((dependency) => {
        command.unresolved -= 1;
        const { outcome } = dependency;
        if (outcome?.success === false) command.dependencyFailure ??= failed(id, outcome.error);
        if (command.unresolved === 0 && command.outcome === undefined) onResolved();
      });
    }
  }
}

const LOST = 'read lost';

function failed(id: string, reason: string | undefined, details?: Json): Failure {
  const text = reason === undefined ? `Dependency '${id}' failed` : `Dependency '${id}' failed: ${reason}`;
  return failure('DEPENDENCY_FAILED', text, details);
}
