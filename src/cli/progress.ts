/** One line that is written over, for a person at a terminal alone. State: volatile. */
const PROGRESS_EVERY_MS = 250;

export interface Progress {
  show(entries: number, of: number): void;
  clear(): void;
}

export function createProgress(stream: NodeJS.WriteStream): Progress {
  let shownAt = performance.now();
  let shown = false;
  return {
    show(entries, of) {
      if (!stream.isTTY || performance.now() - shownAt < PROGRESS_EVERY_MS) return;
      shownAt = performance.now();
      shown = true;
      stream.write(`\r${entries} of ${of} entries`);
    },
    clear() {
      if (shown) stream.write('\r\u001b[K');
      shown = false;
    },
  };
}
