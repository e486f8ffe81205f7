/** Something in a journal is not as it was written. Thrown where it is found, told as a refusal with file and remedy. */
export class JournalDamage extends Error {
  override readonly name = 'JournalDamage';

  /** @param offset of the first entry that is concerned. */
  constructor(offset: number, how: string) {
    super(`offset ${offset} ${how}`);
  }
}
