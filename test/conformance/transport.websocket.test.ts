import { once } from 'node:events';
import { WebSocket, type RawData } from 'ws';
import { transportConformance, type TransportClient } from '../../src/testing/conformance/transport.ts';
import { startTestServer } from '../transports/in-test-reception.ts';

transportConformance({
  name: 'websocket',
  pings: true,
  async start(reception, { frameBytesMax }) {
    const server = await startTestServer({ connect: (...client) => reception.connect(...client), frameBytesMax });
    return {
      observed: server.observed,
      connect: () => connect(server.url),
      stop: () => server.transport.stop(),
      clear: () => server.stop(),
    };
  },
});

async function connect(url: string): Promise<TransportClient> {
  const socket = new WebSocket(url);
  const frames: string[] = [];
  socket.on('message', (data: RawData) => frames.push((data as Buffer).toString()));
  await once(socket, 'open');
  return {
    frames,
    send: (frame) => socket.send(frame),
    sendInPieces(frame, places) {
      const bytes = Buffer.from(frame);
      for (const [index, end] of [...places, bytes.length].entries()) {
        socket.send(bytes.subarray(index === 0 ? 0 : places[index - 1], end), {
          binary: false,
          fin: end === bytes.length,
        });
      }
    },
    pause: () => socket.pause(),
    resume: () => socket.resume(),
    hangUp: () => socket.terminate(),
  };
}
