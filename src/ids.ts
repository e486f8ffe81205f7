/**
 * The randomness behind the `Ids` port: 96 bits from the system's generator, so that no two draws of a server's life, of a
 * restored copy or of another server meet. State: none.
 */
import { randomBytes } from 'node:crypto';
import type { Ids } from '../actors/ports.ts';

const ID_BYTES = 12;

export function createIds(): Ids {
  const draw = (): string => randomBytes(ID_BYTES).toString('hex');
  return { epoch: draw, sessionId: () => `session-${draw()}` };
}
