/** Says on a terminal what is being done, on one line that the next one replaces; elsewhere it says nothing. */
export function createProgress(): (step?: string) => void {
  const { stderr } = process;
  const startedAt = performance.now();
  return (step) => {
    if (!stderr.isTTY) return;
    const seconds = ((performance.now() - startedAt) / 1_000).toFixed(0).padStart(3);
    stderr.write(`\r\u001b[K${step === undefined ? '' : `${seconds} s  ${step}`}`);
  };
}
