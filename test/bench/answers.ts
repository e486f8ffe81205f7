/**
 * Holds a server to its protocol while it is measured: every command gets exactly one answer, and that one says success.
 *
 * Answers are recognized by comparing bytes, which costs a fraction of parsing; what does not look like the expected answer
 * to the letter is parsed and judged by what it says. State: volatile, one per measurement.
 */
/** Problems kept for the report; all are counted. */
const PROBLEMS_KEPT_MAX = 5;

export interface Expected {
  /** How the answer begins, up to the number in its id. */
  readonly head: string;
  /** What follows the number. */
  readonly tail: string;
}

/** An answer of Troupe. */
export function responseTo(commandType: string): Expected {
  return { head: '{"type":"response","id":"c', tail: `","command":"${commandType}","success":true` };
}

/** The command itself, sent back. */
export function echoOf(commandType: string): Expected {
  return { head: '{"id":"c', tail: `","type":"${commandType}"` };
}

/** Bytes by which a lifecycle frame is told from all others. */
const LIFECYCLE = Buffer.from('{"type":"command_');

export class Answers {
  answered = 0;
  lifecycle = 0;
  others = 0;
  problemCount = 0;
  readonly problems: string[] = [];
  readonly #head: Buffer;
  readonly #tail: Buffer;
  readonly #first: number;
  /** 1 for each command that has its answer. */
  readonly #seen: Uint8Array;

  constructor(expected: Expected, firstNumber: number, commandsMax: number) {
    this.#head = Buffer.from(expected.head);
    this.#tail = Buffer.from(expected.tail);
    this.#first = firstNumber;
    this.#seen = new Uint8Array(commandsMax);
  }

  /** @returns the index of the command that the frame answers; -1 when the frame is something else. */
  take(bytes: Buffer, start: number, end: number): number {
    let at = start;
    for (let index = 0; index < this.#head.length; index += 1, at += 1) {
      if (bytes[at] !== this.#head[index]) return this.#takeOther(bytes, start, end);
    }
    let number = 0;
    for (let byte = bytes[at]!; byte >= 48 && byte <= 57; byte = bytes[at]!) {
      number = number * 10 + byte - 48;
      at += 1;
    }
    for (let index = 0; index < this.#tail.length; index += 1, at += 1) {
      if (bytes[at] !== this.#tail[index] || at >= end) return this.#takeOther(bytes, start, end);
    }
    return this.#count(number);
  }

  /** After the last answer: says which of the commands that were sent have none. */
  finish(sent: number): void {
    const missing = sent - this.answered;
    if (missing > 0) this.complain(`${missing} of ${sent} commands got no answer`);
  }

  complain(problem: string): void {
    this.problemCount += 1;
    if (this.problems.length < PROBLEMS_KEPT_MAX) this.problems.push(problem);
  }

  #count(number: number): number {
    const index = number - this.#first;
    if (index < 0 || index >= this.#seen.length) {
      this.complain(`an answer to command ${number}, which was never sent`);
      return -1;
    }
    if (this.#seen[index] === 1) {
      this.complain(`command ${number} was answered twice`);
      return -1;
    }
    this.#seen[index] = 1;
    this.answered += 1;
    return index;
  }

  #takeOther(bytes: Buffer, start: number, end: number): number {
    if (bytes.compare(LIFECYCLE, 0, LIFECYCLE.length, start, Math.min(end, start + LIFECYCLE.length)) === 0) {
      this.lifecycle += 1;
      return -1;
    }
    const text = bytes.toString('utf8', start, end);
    const { type, id, success } = JSON.parse(text) as { type: string; id?: string; success?: boolean };
    if (type !== 'response') {
      this.others += 1;
      return -1;
    }
    if (success !== true) this.complain(`no success: ${text.slice(0, 300)}`);
    return this.#count(Number(String(id).slice(1)));
  }
}
