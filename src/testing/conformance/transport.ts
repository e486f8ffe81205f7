/**
 * One suite for every transport: what it owes the runtime behind it and the client in front of it, whatever carries the
 * bytes. The runtime is the test itself.
 */
import { describe, expect, it, vi } from 'vitest';
import type { Observation, Outlet, Peer, Reception } from '../../../actors/ports.ts';

/** The far end of a connection. */
export interface TransportClient {
  /** Frames that came, in order. */
  readonly frames: readonly string[];
  send(frame: string): void;
  /** One frame, its bytes cut at these places. */
  sendInPieces(frame: string, places: readonly number[]): void;
  /** Takes nothing more, until `resume`. */
  pause(): void;
  resume(): void;
  /** Is gone from one moment to the next. */
  hangUp(): void;
}

/** A transport that runs, and the way to get a client for it. */
export interface TransportUnderTest {
  readonly observed: readonly Observation[];
  connect(): Promise<TransportClient>;
  /** Stops the transport and settles as it does. */
  stop(): Promise<void>;
  /** Leaves nothing behind. */
  clear(): Promise<void>;
}

/** A transport to be certified: how to start one. */
export interface TransportSuite {
  readonly name: string;
  /** Can ask its client for a sign of life; otherwise it knows by itself when that is gone. */
  readonly pings: boolean;
  start(reception: Reception, options: { readonly frameBytesMax: number }): Promise<TransportUnderTest>;
}

const FRAME_BYTES_MAX = 1000;
/** Everything that some reader of lines, of UTF-8 or of UTF-16 takes for something else. */
const ODD = '{"a":"\u2028\u2029\u0085\r\t\\n \u0000ä€😀"}';

/** A connection as the runtime sees it. */
class Seen implements Peer {
  readonly connectionId = 'c';
  readonly frames: string[] = [];
  readonly lengths: number[] = [];
  closedCount = 0;
  pongs = 0;
  readonly outlet: Outlet;
  readonly transport: string;
  readonly #onFrame: (outlet: Outlet, text: string) => void;

  constructor(outlet: Outlet, transport: string, onFrame: (outlet: Outlet, text: string) => void) {
    this.outlet = outlet;
    this.transport = transport;
    this.#onFrame = onFrame;
  }

  receive(bytes: Uint8Array): void {
    const text = Buffer.from(bytes).toString();
    this.frames.push(text);
    this.lengths.push(bytes.length);
    this.#onFrame(this.outlet, text);
  }

  ponged(): void {
    this.pongs += 1;
  }

  closed(): void {
    this.closedCount += 1;
  }
}

interface Scene {
  readonly transport: TransportUnderTest;
  readonly client: TransportClient;
  readonly seen: Seen;
}

const echo = (outlet: Outlet, text: string): void => outlet.write(text);
/** Holds in the end, also on a machine that has much else to do. */
const eventually = (holds: () => void): Promise<void> => vi.waitFor(holds, { timeout: 10_000 });
const tick = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

/** Defines the tests of a transport, in the test file that calls it. */
export function transportConformance(suite: TransportSuite): void {
  /** A test with one client; every frame goes through `onFrame`. */
  function withClient(test: (scene: Scene) => Promise<void>, onFrame = echo): () => Promise<void> {
    return async () => {
      const peers: Seen[] = [];
      const reception: Reception = {
        connect(outlet, _, transport) {
          const peer = new Seen(outlet, transport, onFrame);
          peers.push(peer);
          return peer;
        },
      };
      const transport = await suite.start(reception, { frameBytesMax: FRAME_BYTES_MAX });
      try {
        const client = await transport.connect();
        await eventually(() => expect(peers).toHaveLength(1));
        await test({ transport, client, seen: peers[0]! });
      } finally {
        await transport.clear();
      }
    };
  }

  const received = (client: TransportClient, frames: readonly string[]): Promise<void> =>
    eventually(() => expect(client.frames).toEqual(frames));
  const closedOnce = (seen: Seen): Promise<void> => eventually(() => expect(seen.closedCount).toBe(1));

  describe(`transport ${suite.name} keeps the port's promises:`, () => {
    it(
      'it says who it is',
      withClient(async ({ seen }) => {
        await tick();
        expect(seen.transport).toBe(suite.name);
      }),
    );

    it(
      'frames arrive in both directions as they were sent, in order',
      withClient(async ({ client, seen }) => {
        const sent = [ODD, '1', ODD.repeat(10), '"x"'];
        for (const frame of sent) client.send(frame);
        await received(client, sent);
        expect(seen.frames).toEqual(sent);
      }),
    );

    it(
      'a frame that comes in pieces arrives whole, wherever it was cut',
      withClient(async ({ client, seen }) => {
        const bytes = Buffer.byteLength(ODD);
        client.sendInPieces(
          ODD,
          Array.from({ length: bytes - 1 }, (_, index) => index + 1),
        );
        client.send('"after"');
        await received(client, [ODD, '"after"']);
        expect(seen.lengths[0]).toBe(bytes);
      }),
    );

    it(
      'a frame of the largest size arrives whole, a larger one so that its length tells, and the next one is not harmed',
      withClient(
        async ({ client, seen }) => {
          client.send('x'.repeat(FRAME_BYTES_MAX));
          client.send('x'.repeat(FRAME_BYTES_MAX + 1));
          client.send('"after"');
          await received(client, ['1', '2', '3']);
          expect(seen.lengths).toEqual([FRAME_BYTES_MAX, FRAME_BYTES_MAX + 1, 7]);
        },
        (() => {
          let count = 0;
          return (outlet: Outlet) => outlet.write(String((count += 1)));
        })(),
      ),
    );

    it(
      'what waits for a reader is counted, also within the tick, and kept in order',
      withClient(async ({ client, seen }) => {
        client.pause();
        const frame = `"${'x'.repeat(1024 * 1024)}"`;
        const before = seen.outlet.bufferedBytes;
        for (let count = 0; count < 32; count += 1) seen.outlet.write(frame);
        expect(seen.outlet.bufferedBytes - before).toBeGreaterThanOrEqual(32 * frame.length);
        await tick();
        expect(seen.outlet.bufferedBytes).toBeGreaterThan(8 * frame.length);
        seen.outlet.write('"last"');
        client.resume();
        await eventually(() => expect(client.frames.at(-1)).toBe('"last"'));
        expect(client.frames).toHaveLength(33);
        await eventually(() => expect(seen.outlet.bufferedBytes).toBe(0));
      }),
    );

    it(
      suite.pings
        ? 'a client is asked for a sign of life, tells one, and each byte of it is progress'
        : 'a client is asked for no sign of life, which it could not give',
      withClient(async ({ client, seen }) => {
        const { pulse } = seen.outlet;
        expect(pulse !== undefined).toBe(suite.pings);
        if (pulse === undefined) return;
        let before = pulse.progress;
        pulse.ping();
        await eventually(() => expect(seen.pongs).toBe(1));
        expect(pulse.progress).not.toBe(before);
        before = pulse.progress;
        client.send('1');
        await received(client, ['1']);
        expect(pulse.progress).not.toBe(before);
        await new Promise<void>((resolve) => pulse.whenRead(resolve));
      }),
    );

    it(
      'a client that is simply gone is told once, and nobody minds what is written to it then',
      withClient(async ({ client, seen }) => {
        client.hangUp();
        seen.outlet.write('"on the way"');
        await closedOnce(seen);
        seen.outlet.write('"into the void"');
        seen.outlet.close(1011, 'again');
        await tick();
        expect([seen.closedCount, seen.outlet.bufferedBytes]).toEqual([1, 0]);
      }),
    );

    it(
      'closing delivers what was written before, nothing that comes later, and hands no frame on any more',
      withClient(
        async ({ client, seen }) => {
          client.send('"first"');
          client.send('"second"');
          await closedOnce(seen);
          await received(client, ['"last words"']);
          expect(seen.frames).toEqual(['"first"']);
        },
        (outlet) => {
          outlet.write('"last words"');
          outlet.close(1013, 'too slow');
          outlet.write('"too late"');
          outlet.close(1011, 'too late');
        },
      ),
    );

    it(
      'a defect behind the port costs the client its connection, and is told',
      withClient(
        async ({ transport, client, seen }) => {
          client.send('1');
          client.send('2');
          await closedOnce(seen);
          expect(seen.frames).toEqual(['1']);
          const told = { level: 'error', message: 'a defect broke a connection' };
          expect(transport.observed).toContainEqual(expect.objectContaining(told));
        },
        () => {
          throw new Error('a bug');
        },
      ),
    );

    it('a client that is refused is let go', async () => {
      const reception: Reception = {
        connect(outlet) {
          outlet.write('"no"');
          outlet.close(1013, 'no room');
          return undefined;
        },
      };
      const transport = await suite.start(reception, { frameBytesMax: FRAME_BYTES_MAX });
      try {
        const client = await transport.connect();
        await received(client, ['"no"']);
        client.send('1');
        await transport.stop();
      } finally {
        await transport.clear();
      }
    });

    it(
      'stopping delivers what was written, tells the runtime once, and can be repeated',
      withClient(async ({ transport, client, seen }) => {
        for (let count = 0; count < 100; count += 1) seen.outlet.write(String(count));
        await Promise.all([transport.stop(), transport.stop()]);
        expect(seen.closedCount).toBe(1);
        await received(
          client,
          Array.from({ length: 100 }, (_, index) => String(index)),
        );
      }),
    );
  });
}
