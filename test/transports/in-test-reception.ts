/** A server around the WebSocket transport whose runtime is the test itself, and raw clients for what `ws` would not send. */
import { once } from 'node:events';
import { request, type IncomingHttpHeaders, type Server } from 'node:http';
import { connect, type AddressInfo, type Socket } from 'node:net';
import { WebSocket, type ClientOptions } from 'ws';
import { Heartbeat } from '../../actors/heartbeat.ts';
import { Host } from '../../actors/host.ts';
import type { Clock, Observation, Outlet, Peer, Reception } from '../../actors/ports.ts';
import type { HeartbeatInput } from '../../machines/heartbeat.ts';
import { createClock } from '../../src/clock.ts';
import { createHttpListener } from '../../src/transports/http.ts';
import { createWebSocketTransport, type WebSocketTransport } from '../../src/transports/websocket.ts';

export interface TestPeer {
  readonly outlet: Outlet;
  readonly received: Buffer[];
  closedCount: number;
  pongs: number;
}

export interface Setup {
  readonly clock?: Clock;
  readonly connectionsMax?: number;
  readonly frameBytesMax?: number;
  readonly unfinishedBytesMax?: number;
  readonly headersTimeoutMs?: number;
  /** Gives every connection a heartbeat, as the runtime does. */
  readonly heartbeat?: HeartbeatInput;
  /** Called for every frame; the default answers with the same text. */
  readonly onFrame?: (outlet: Outlet, bytes: Uint8Array) => void;
  readonly connect?: Reception['connect'];
}

export interface TestServer {
  readonly server: Server;
  readonly transport: WebSocketTransport;
  readonly port: number;
  readonly url: string;
  readonly peers: TestPeer[];
  readonly observed: Observation[];
  /** The server's side of the newest connection. */
  readonly sockets: Socket[];
  client(options?: ClientOptions, path?: string): Promise<WebSocket>;
  stop(): Promise<void>;
}

export async function startTestServer(setup: Setup = {}): Promise<TestServer> {
  const peers: TestPeer[] = [];
  const observed: Observation[] = [];
  const sockets: Socket[] = [];
  const clock = setup.clock ?? createClock();
  const host = new Host(clock);
  const onFrame = setup.onFrame ?? ((outlet, bytes) => outlet.write(Buffer.from(bytes).toString()));
  const reception: Reception = {
    connect(outlet): Peer {
      const peer: TestPeer = { outlet, received: [], closedCount: 0, pongs: 0 };
      peers.push(peer);
      const { pulse } = outlet;
      const lost = (): void => outlet.close(1001, 'Heartbeat timeout');
      const heartbeat =
        setup.heartbeat && pulse && new Heartbeat(host, String(peers.length), setup.heartbeat, pulse, lost);
      return {
        connectionId: `c${peers.length}`,
        receive(bytes) {
          peer.received.push(Buffer.from(bytes));
          onFrame(outlet, bytes);
        },
        ponged() {
          peer.pongs += 1;
          heartbeat?.ponged();
        },
        closed() {
          peer.closedCount += 1;
          heartbeat?.stop();
        },
      };
    },
  };
  const connectionsMax = setup.connectionsMax ?? 10;
  const isOwnHost = (name: string): boolean => name === '127.0.0.1' || name === 'localhost' || name === '::1';
  const server = createHttpListener({
    connectionsMax,
    isOwnHost,
    ...(setup.headersTimeoutMs !== undefined && { headersTimeoutMs: setup.headersTimeoutMs }),
  });
  server.on('connection', (socket: Socket) => sockets.push(socket));
  const transport = createWebSocketTransport(
    server,
    {
      reception: setup.connect === undefined ? reception : { connect: setup.connect },
      clock,
      telemetry: { enabled: () => true, observe: (observation) => observed.push(observation) },
    },
    {
      connectionsMax,
      frameBytesMax: setup.frameBytesMax ?? 1024,
      isOwnHost,
      ...(setup.unfinishedBytesMax !== undefined && { unfinishedBytesMax: setup.unfinishedBytesMax }),
      principal: { id: 'test', scopes: [] },
    },
  );
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const url = `ws://127.0.0.1:${port}`;
  const clients: WebSocket[] = [];

  return {
    server,
    transport,
    port,
    url,
    peers,
    observed,
    sockets,
    async client(options = {}, path = '/') {
      const client = new WebSocket(url + path, options);
      clients.push(client);
      await once(client, 'open');
      return client;
    },
    async stop() {
      for (const client of clients) client.terminate();
      for (const socket of sockets) socket.destroy();
      await transport.stop();
      server.close();
    },
  };
}

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** A request with exactly these headers; a handshake that succeeds answers with status 101. */
export function ask(port: number, path: string, headers: Record<string, string>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const asked = request({ host: '127.0.0.1', port, path, headers });
    asked.on('error', reject);
    asked.on('upgrade', (response, socket) => {
      socket.destroy();
      resolve({ status: 101, headers: response.headers, body: '' });
    });
    asked.on('response', (response) => {
      const chunks: Buffer[] = [];
      response.on('data', (chunk: Buffer) => chunks.push(chunk));
      response.on('end', () =>
        resolve({
          status: response.statusCode ?? 0,
          headers: response.headers,
          body: Buffer.concat(chunks).toString(),
        }),
      );
    });
    asked.end();
  });
}

export const handshake = {
  Connection: 'Upgrade',
  Upgrade: 'websocket',
  'Sec-WebSocket-Version': '13',
  'Sec-WebSocket-Key': 'dGhlIHNhbXBsZSBub25jZQ==',
};

/** A client below the level of `ws`: the handshake is done, then bytes are the test's. */
export async function rawClient(port: number): Promise<Socket> {
  const socket = connect(port, '127.0.0.1');
  const head = Object.entries({ Host: '127.0.0.1', ...handshake }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`GET / HTTP/1.1\r\n${head.join('')}\r\n`);
  await once(socket, 'data');
  return socket;
}
