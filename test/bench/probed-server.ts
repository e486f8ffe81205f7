/**
 * A server of the package with a view from inside: how late its event loop is, and what lies on its heap.
 *
 * Run with --expose-gc; the first argument is a configuration as JSON. It answers its parent over the channel.
 */
import { monitorEventLoopDelay, PerformanceObserver } from 'node:perf_hooks';
import type * as Package from '../../src/index.ts';

/** The build: what users run, and there only after it was built. */
const built = new URL('../../dist/src/index.js', import.meta.url).href;
const { checkConfig, createServer } = (await import(built)) as typeof Package;

export interface LoopDelay {
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
  /** Pauses of the garbage collector, in milliseconds. */
  readonly pauses: readonly number[];
}

/** Questions of the parent. */
export type Probe = 'heap' | 'delay.start' | 'delay.read';

/** How often the loop is looked at; a loop that is never late shows this. */
const RESOLUTION_MS = 1;

const checked = checkConfig(JSON.parse(process.argv[2] ?? '{}'));
if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
const server = createServer(checked.config);
const histogram = monitorEventLoopDelay({ resolution: RESOLUTION_MS });
let pauses: number[] = [];
new PerformanceObserver((list) => {
  for (const { duration } of list.getEntries()) pauses.push(duration);
}).observe({ entryTypes: ['gc'] });
const ms = (nanoseconds: number): number => nanoseconds / 1e6;

process.on('message', (probe: Probe) => {
  switch (probe) {
    case 'heap':
      globalThis.gc?.();
      globalThis.gc?.();
      process.send?.({ heapBytes: process.memoryUsage().heapUsed, residentBytes: process.memoryUsage.rss() });
      break;
    case 'delay.start':
      histogram.reset();
      pauses = [];
      histogram.enable();
      process.send?.({});
      break;
    case 'delay.read':
      histogram.disable();
      process.send?.({
        p50: ms(histogram.percentile(50)),
        p99: ms(histogram.percentile(99)),
        max: ms(histogram.max),
        pauses,
      } satisfies LoopDelay);
      break;
    default:
      probe satisfies never;
  }
});
process.on('SIGTERM', () => void server.stop().then(() => process.exit()));
process.on('disconnect', () => process.exit());

const { listening } = await server.start();
process.send?.({ port: listening?.port });
