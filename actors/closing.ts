/**
 * The end of what was opened: each part is closed, also when one before it could not be. An engine that can't let go must not
 * keep the journal open, and with it the data directory. State: none.
 */

/** Closes one after the other. @throws what the first that failed said, after the last. */
export async function closeEach(parts: Iterable<{ close(): Promise<void> }>): Promise<void> {
  const failures: Error[] = [];
  for (const part of parts) {
    try {
      await part.close();
    } catch (error) {
      failures.push(error instanceof Error ? error : new Error(String(error)));
    }
  }
  const [first] = failures;
  if (first !== undefined) throw first;
}
