/**
 * What the chart of a session that is being folded has not been told: of a long history almost all is told in vain.
 *
 * Between two turns the chart is a function of little: of the work that waits, and of whether the end was announced. So when
 * the lane comes to rest, everything is forgotten that does not last, and a chart that begins anew is told the rest of it. That
 * this gives the chart that was told everything is held by tests. Where it is not certain (an order of entries that today's
 * server does not write, a lane that is full) the answer is that the chart has to be asked. State: rebuildable.
 */
import type { ChartStep, ChartSteps } from './chart-step.ts';

/** So few are not worth the picking. */
const KEPT_MIN = 16;

export class OwedSteps {
  readonly #depthMax: number;
  /** What opened the session. */
  #opening: ChartSteps | undefined;
  /** Since the lane came to rest, with what lasts of what was before. */
  #since: ChartSteps[] = [];
  /** Work that waits, by the offset of its acceptance. */
  readonly #queued = new Map<number, ChartSteps>();
  #announced: ChartSteps | undefined;
  /** An engine holds the lane, or was told to let go of it. */
  #held: 'running' | 'releasing' | undefined;
  #closed = false;

  constructor(depthMax: number) {
    this.#depthMax = depthMax;
  }

  /** What a chart at its beginning has to be told, in order. */
  get all(): readonly ChartSteps[] {
    return this.#opening === undefined ? this.#since : [this.#opening, ...this.#since];
  }

  queues(acceptedOffset: number): boolean {
    return this.#queued.has(acceptedOffset);
  }

  /** @returns false when only the chart knows what comes of it: it has to be told all, and this, and what follows. */
  take(steps: ChartSteps): boolean {
    let mayRest = false;
    for (const step of steps) {
      if (!this.#note(step, steps)) return false;
      mayRest ||= step.type === 'ended' || step.type === 'released';
    }
    if (this.#opening === undefined) this.#opening = steps;
    else this.#since.push(steps);
    if (mayRest && this.#held === undefined && !this.#closed) this.#rest();
    return true;
  }

  #note(step: ChartStep, steps: ChartSteps): boolean {
    switch (step.type) {
      case 'opened':
        return this.#opening === undefined;
      case 'accepted':
        if (this.#isFull || this.#queued.has(step.offset)) return false;
        this.#queued.set(step.offset, steps);
        return true;
      case 'started':
        if (this.#held !== undefined || !step.turn) return false;
        if (!this.#queued.delete(step.acceptedOffset) && this.#isFull) return false;
        this.#held = 'running';
        return true;
      case 'ended':
        if (!step.turn) this.#queued.delete(step.acceptedOffset);
        else if (this.#held !== 'running') return false;
        else this.#held = step.interrupted ? 'releasing' : undefined;
        return true;
      case 'released':
        if (this.#held === 'releasing') this.#held = undefined;
        return true;
      case 'announced':
        if (this.#announced !== undefined) return false;
        this.#announced = steps;
        return true;
      case 'extended':
        this.#announced = undefined;
        return true;
      case 'closed':
      case 'expired':
        this.#closed = true;
        return true;
      case 'spoke':
        return true;
      default:
        return step satisfies never;
    }
  }

  get #isFull(): boolean {
    return this.#queued.size + (this.#held === 'running' ? 1 : 0) >= this.#depthMax;
  }

  /** What lasts may be much: it is not picked out each time. */
  #rest(): void {
    if (this.#since.length < 2 * this.#queued.size + KEPT_MIN) return;
    this.#since = [...this.#queued.values()];
    if (this.#announced !== undefined) this.#since.push(this.#announced);
  }
}
