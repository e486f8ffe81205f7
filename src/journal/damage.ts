/** Something in a journal is not as it was written. Thrown where it is found, told as a refusal with file and remedy. */
export class JournalDamage extends Error {
  override readonly name = 'JournalDamage';

  /** @param offset of the first entry that is concerned. */
  constructor(offset: number, how: string) {
    super(`offset ${offset} ${how}`);
  }
}

/** Of an entry that could not be read. */
export function unreadable(
  { offset, kind }: { readonly offset: number; readonly kind: string },
  error: unknown,
): JournalDamage {
  return new JournalDamage(
    offset,
    `does not read as a ${kind}: ${error instanceof Error ? error.message : String(error)}`,
  );
}
