/** Medians and percentiles. Pure. */
function percentile(values: Iterable<number>, part: number): number {
  const sorted = Float64Array.from(values).sort();
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b);
  const middle = sorted.length >> 1;
  return sorted.length % 2 === 1 ? sorted[middle]! : ((sorted[middle - 1] ?? Number.NaN) + sorted[middle]!) / 2;
}

/** How long something took, in milliseconds. */
export interface Latency {
  readonly p50: number;
  readonly p99: number;
  readonly samples: number;
}

export function latencyOf(values: readonly number[] | Float64Array): Latency {
  return { p50: percentile(values, 0.5), p99: percentile(values, 0.99), samples: values.length };
}

/** The median round's figures. */
export function medianLatency(rounds: readonly Latency[]): Latency {
  return {
    p50: median(rounds.map(({ p50 }) => p50)),
    p99: median(rounds.map(({ p99 }) => p99)),
    samples: rounds.reduce((sum, { samples }) => sum + samples, 0),
  };
}
