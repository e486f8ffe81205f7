/** The stdio transport with a program on its other side, in one process: two streams with a bounded buffer instead of pipes. */
import { PassThrough } from 'node:stream';
import type { Clock, Observation, Reception } from '../../actors/ports.ts';
import { createClock } from '../../src/clock.ts';
import type { TransportClient } from '../../src/testing/conformance/transport.ts';
import { createStdioTransport, type StdioEnd, type StdioTransport } from '../../src/transports/stdio.ts';

export interface StdioPair extends TransportClient {
  readonly transport: StdioTransport;
  readonly input: PassThrough;
  readonly output: PassThrough;
  readonly observed: readonly Observation[];
  readonly ends: readonly StdioEnd[];
}

export interface StdioPairOptions {
  readonly frameBytesMax?: number;
  readonly outgoingBytesMax?: number;
  readonly clock?: Clock;
}

export function createStdioPair(reception: Reception, options: StdioPairOptions = {}): StdioPair {
  const [input, output] = [new PassThrough(), new PassThrough()];
  const observed: Observation[] = [];
  const ends: StdioEnd[] = [];
  const transport = createStdioTransport(
    { input, output },
    {
      reception,
      clock: options.clock ?? createClock(),
      telemetry: { enabled: () => true, observe: (observation) => observed.push(observation) },
    },
    {
      frameBytesMax: options.frameBytesMax ?? 1000,
      outgoingBytesMax: options.outgoingBytesMax ?? 100_000,
      principal: { id: 'test', scopes: [] },
      onEnd: (reason) => ends.push(reason),
    },
  );
  const frames: string[] = [];
  let rest = '';
  output.setEncoding('utf8').on('data', (text: string) => {
    const lines = (rest + text).split('\n');
    rest = lines.pop() ?? '';
    frames.push(...lines);
  });

  return {
    transport,
    input,
    output,
    observed,
    ends,
    frames,
    send: (frame) => void input.write(`${frame}\n`),
    sendInPieces(frame, places) {
      const bytes = Buffer.from(`${frame}\n`);
      for (const [index, end] of [...places, bytes.length].entries()) {
        input.write(bytes.subarray(index === 0 ? 0 : places[index - 1], end));
      }
    },
    pause: () => void output.pause(),
    resume: () => void output.resume(),
    hangUp: () => void output.destroy(Object.assign(new Error('write EPIPE'), { code: 'EPIPE' })),
  };
}
