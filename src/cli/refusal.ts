/**
 * Why a command does not run: lines for stderr that name what is wrong and what would be right, and the exit code.
 */
export class Refusal extends Error {
  override readonly name = 'Refusal';
  readonly lines: readonly string[];
  readonly exitCode: number;

  constructor(exitCode: number, ...lines: readonly string[]) {
    super(lines.join('\n'));
    this.lines = lines;
    this.exitCode = exitCode;
  }
}
