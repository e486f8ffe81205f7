/**
 * The names that a command is known by: its id, and its idempotency key in its scope.
 */

/** Ids are unique per principal over all sessions. */
export function idKey(principalId: string, commandId: string): string {
  return `i\0${principalId}\0${commandId}`;
}

/** Idempotency keys are unique per principal and scope: a session's incarnation, or the server. */
function scopedKey(principalId: string, scope: string, key: string): string {
  return `k\0${principalId}\0${scope}\0${key}`;
}

/** Under what a command is known here. Written once per command: the index is asked three times with the same. */
export interface Names {
  readonly byId: string | undefined;
  readonly byKey: string | undefined;
}

/** `id` is one that the client chose: a command without can't be asked for again. */
export function namesOf(
  principalId: string,
  id: string | undefined,
  keyScope: string | undefined,
  idempotencyKey: string | undefined,
): Names {
  const hasKey = keyScope !== undefined && idempotencyKey !== undefined;
  return {
    byId: id === undefined ? undefined : idKey(principalId, id),
    byKey: hasKey ? scopedKey(principalId, keyScope, idempotencyKey) : undefined,
  };
}

/** Keys of commands that go to no session are unique in this. */
export const SERVER_SCOPE = 'server';
