import { once } from 'node:events';
import { connect, createServer as createNetServer, type AddressInfo } from 'node:net';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, type RawData } from 'ws';
import type { Engine, Journal } from '../actors/ports.ts';
import { JournalRefused } from '../actors/ports.ts';
import { checkConfig, type Config, type ConfigInput } from '../src/config.ts';
import { createEchoEngine } from '../src/engines/echo.ts';
import { createMemoryJournal } from '../src/journal/memory.ts';
import { createHeldJournal } from '../src/testing/held-journal.ts';
import { createServer, StartRefused, type Listening, type Server, type ServerParts } from '../src/server.ts';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server.stop();
});

function configure(input: ConfigInput = {}): Config {
  const checked = checkConfig({ port: 0, journal: { kind: 'memory', acceptVolatile: true }, ...input });
  if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
  return checked.config;
}

function create(input?: ConfigInput, parts?: ServerParts): Server {
  const server = createServer(configure(input), parts);
  servers.push(server);
  return server;
}

async function listen(server: Server): Promise<Listening> {
  const { listening } = await server.start();
  if (listening === undefined) throw new Error('The server listens nowhere.');
  return listening;
}

type Frame = Readonly<Record<string, unknown>>;
const frameOf = (data: RawData): Frame => JSON.parse((data as Buffer).toString()) as Frame;

async function frames(socket: WebSocket, count: number): Promise<Frame[]> {
  const found: Frame[] = [];
  return new Promise((resolve) => {
    socket.on('message', (data) => {
      if (found.push(frameOf(data)) === count) resolve(found);
    });
  });
}

/** The journal with some of its methods replaced. */
function withOther(journal: Journal, replaced: Partial<Journal>): Journal {
  return new Proxy(journal, {
    get(target, key) {
      if (key in replaced) return replaced[key as keyof Journal];
      const value: unknown = Reflect.get(target, key, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

/** A memory journal that opens when it is told to, or is refused. */
function gatedJournal(): { journal: Journal; open: () => void; refuse: (error: Error) => void; opened: () => number } {
  let open!: () => void;
  let refuse!: (error: Error) => void;
  let opened = 0;
  const gate = new Promise<void>((resolve, reject) => {
    open = resolve;
    refuse = reject;
  });
  const memory = createMemoryJournal();
  const journal = withOther(memory, {
    async open() {
      opened += 1;
      await gate;
      return memory.open();
    },
  });
  return { journal, open, refuse, opened: () => opened };
}

/** Runs `start` until its journal is being opened, and says where it listens by then. */
async function portWhileStarting(
  server: Server,
  gate: { opened: () => number },
): Promise<{ starting: Promise<unknown> }> {
  const starting = server.start();
  starting.catch(() => undefined);
  await vi.waitFor(() => expect(gate.opened()).toBe(1));
  return { starting };
}

async function freePort(): Promise<number> {
  const probe = createNetServer().listen(0, '127.0.0.1');
  await once(probe, 'listening');
  const { port } = probe.address() as AddressInfo;
  probe.close();
  await once(probe, 'close');
  return port;
}

describe('a server', () => {
  it('starts once, serves, and stops once', async () => {
    const server = create();
    const [first, second] = await Promise.all([server.start(), server.start()]);
    expect(second).toBe(first);
    const { port, url } = await listen(server);
    expect(url).toBe(`http://127.0.0.1:${port}`);
    expect(first.recovery).toMatchObject({ boot: 1, durable: false, sessions: 0 });

    const socket = new WebSocket(url);
    const greeting = frames(socket, 2);
    const closed = once(socket, 'close');
    expect((await greeting).map(({ type }) => type)).toEqual(['server_ready', 'startup_recovery_summary']);
    await Promise.all([server.stop(), server.stop()]);
    expect((await closed)[0]).toBe(1001);
    await expect(fetch(url)).rejects.toThrow();
  });

  it('hands its limits to those who keep them', async () => {
    const server = create({ limits: { frameBytesMax: 1000, connectionsMax: 1, pendingMax: 7 } });
    const { url } = await listen(server);
    const socket = new WebSocket(url);
    const received = frames(socket, 3);
    await once(socket, 'open');
    socket.send(`"${'x'.repeat(1000)}"`);
    const [ready, , refused] = await received;
    expect(ready).toMatchObject({ data: { limits: { frameBytesMax: 1000, pendingMax: 7 } } });
    expect(refused).toMatchObject({ success: false, errorCode: 'FRAME_TOO_LARGE' });
    const surplus = new WebSocket(url);
    expect((await once(surplus, 'close'))[0]).toBe(1013);
  });

  it('hands its limits to the runtime as well', async () => {
    const server = create({ limits: { pendingMax: 1 }, timeouts: { drainMs: 0 } });
    const { url } = await listen(server);
    const socket = new WebSocket(url);
    await once(socket, 'open');
    const session = { sessionId: 's', engine: 'scripted', input: { turns: [[{ hang: true }]] } };
    const created = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        if (frameOf(data)['command'] === 'create_session') resolve();
      });
    });
    socket.send(JSON.stringify({ type: 'create_session', id: '1', ...session }));
    await created;
    const refused = new Promise<Frame>((resolve) => {
      socket.on('message', (data) => {
        if (frameOf(data)['id'] === '3') resolve(frameOf(data));
      });
    });
    socket.send(JSON.stringify({ type: 'prompt', id: '2', sessionId: 's', message: 'x' }));
    socket.send(JSON.stringify({ type: 'set_session_name', id: '3', sessionId: 's', name: 'x' }));
    expect(await refused).toMatchObject({ errorCode: 'TOO_MANY_PENDING' });
  });

  it('does not wait for a socket that never says anything', async () => {
    const server = create();
    const { port } = await listen(server);
    const silent = connect(port, '127.0.0.1');
    await once(silent, 'connect');
    const closed = once(silent, 'close');
    const since = performance.now();
    await server.stop();
    await closed;
    expect(performance.now() - since).toBeLessThan(5_000);
  });

  it('is reached under the name that it was configured with, and not under others', async () => {
    const server = create({ host: 'localhost' });
    const { url } = await listen(server);
    expect((await fetch(url)).status).toBe(426);
    const port = new URL(url).port;
    expect((await fetch(`http://localhost:${port}`)).status).toBe(426);
  });

  it('stops before it was started', async () => {
    await create().stop();
  });

  it('that is told to stop while it starts, starts and stops', async () => {
    const gate = gatedJournal();
    const server = create({}, { journal: gate.journal });
    const { starting } = await portWhileStarting(server, gate);
    const stopped = server.stop();
    gate.open();
    await starting;
    await stopped;
  });
});

describe('a client that comes before recovery is over', () => {
  it('is greeted when it is, and its frames are taken in their order', async () => {
    const gate = gatedJournal();
    const port = await freePort();
    const server = create({ port }, { journal: gate.journal });
    const { starting } = await portWhileStarting(server, gate);
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    const seen: Frame[] = [];
    const all = new Promise<void>((resolve) => {
      socket.on('message', (data) => {
        const frame = frameOf(data);
        if (frame['type'] !== 'response') seen.push(frame);
        else if (seen.push(frame) && frame['id'] === 'second') resolve();
      });
    });
    await once(socket, 'open');
    socket.send('{"type":"ping","id":"first"}');
    socket.send('{"type":"ping","id":"second"}');
    // The answer to a WebSocket ping says that the server has read both, and still says nothing.
    socket.ping();
    await once(socket, 'pong');
    expect(seen).toEqual([]);
    gate.open();
    await starting;
    await all;
    expect(seen.filter(({ type }) => type === 'response').map(({ id }) => id)).toEqual(['first', 'second']);
    expect(seen.slice(0, 2).map(({ type }) => type)).toEqual(['server_ready', 'startup_recovery_summary']);
  });

  it('is told to go when the journal is refused, and nothing is left', async () => {
    const gate = gatedJournal();
    const port = await freePort();
    const echo = createEchoEngine();
    const close = vi.fn<() => Promise<void>>(() => Promise.resolve());
    const server = create({ port }, { journal: gate.journal, engines: [{ ...echo, close, ready: true }] });
    const { starting } = await portWhileStarting(server, gate);
    const socket = new WebSocket(`ws://127.0.0.1:${port}`);
    await once(socket, 'open');
    const closed = once(socket, 'close');
    gate.refuse(new JournalRefused('in use'));
    await expect(starting).rejects.toThrow(JournalRefused);
    expect((await closed)[0]).toBe(1001);
    expect(close).toHaveBeenCalledTimes(1);
    await expect(fetch(`http://127.0.0.1:${port}`)).rejects.toThrow();
    await server.stop();
  });
});

describe('a start that is refused', () => {
  it('because the port is busy has not touched the journal', async () => {
    const squatter = createNetServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as AddressInfo;
    const gate = gatedJournal();
    const server = create({ port }, { journal: gate.journal });
    await expect(server.start()).rejects.toThrow(
      new StartRefused(
        'address',
        `port ${port} on 127.0.0.1 is in use: stop the program that listens there, or choose another port with --port (0 takes a free one)`,
      ),
    );
    expect(gate.opened()).toBe(0);
    squatter.close();
  });

  it('because the default engine is missing has touched neither port nor journal', async () => {
    const gate = gatedJournal();
    const broken: Engine = {
      ...createEchoEngine(),
      ready: false,
      prepare: () => Promise.reject(new Error('not installed: run x')),
    };
    const server = create({}, { journal: gate.journal, engines: [broken] });
    await expect(server.start()).rejects.toThrow('engine echo: not installed: run x');
    expect(gate.opened()).toBe(0);
  });
});

describe('a journal that fails', () => {
  async function failing() {
    const held = createHeldJournal(createMemoryJournal());
    held.pass();
    const onFatal = vi.fn<(error: Error) => void>();
    const server = create({}, { journal: held, onFatal });
    const { url } = await listen(server);
    const seen: Frame[] = [];
    const socket = new WebSocket(url);
    socket.on('message', (data) => void seen.push(frameOf(data)));
    const send = async (frame: Frame & { readonly id: string }): Promise<Frame> => {
      const from = seen.length;
      socket.send(JSON.stringify(frame));
      return vi.waitFor(() => {
        const found = seen.slice(from).find(({ type, id }) => type === 'response' && id === frame.id);
        if (found === undefined) throw new Error(`There is no response to ${frame.id}.`);
        return found;
      });
    };
    await once(socket, 'open');
    held.keepFailing(new Error('disk full'));
    const create_session = { type: 'create_session', sessionId: 's', id: '1' };
    expect(await send(create_session)).toMatchObject({ success: false, errorCode: 'JOURNAL_UNAVAILABLE' });
    return { held, server, socket, seen, send, create_session, onFatal };
  }

  it('is no end for the embedding program: clients are told, and it goes on by itself', async () => {
    const { held, seen, send, create_session, onFatal } = await failing();
    expect(await send({ type: 'list_sessions', id: '2' })).toMatchObject({ stale: true, data: { total: 0 } });
    held.mend();
    await vi.waitFor(() => expect(seen.at(-1)).toMatchObject({ type: 'startup_recovery_summary', data: { boot: 2 } }), {
      timeout: 10_000,
    });
    expect(await send(create_session)).toMatchObject({ success: true });
    expect(onFatal).not.toHaveBeenCalled();
  });

  it('does not keep the server from being stopped', async () => {
    const { server, socket, onFatal } = await failing();
    const closed = once(socket, 'close');
    await server.stop();
    expect((await closed)[0]).toBe(1001);
    expect(onFatal).not.toHaveBeenCalled();
  });
});
