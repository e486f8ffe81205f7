import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket, type RawData } from 'ws';
import { createStopSignals, REPETITION_MS } from '../../src/cli/stop-signals.ts';
import { welcome } from '../../src/cli/welcome.ts';
import { ask, handshake } from '../transports/in-test-reception.ts';
import { Workplace, type Troupe } from './troupe-process.ts';

// Every test starts processes, some of them two: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

type Frame = Readonly<Record<string, unknown>>;

const start = (...args: string[]): Troupe => place.run(['--port', '0', '--data-dir', 'data', ...args]);

/** A client that keeps every frame. */
class Client {
  readonly frames: Frame[] = [];
  readonly socket: WebSocket;

  constructor(url: unknown) {
    this.socket = new WebSocket(String(url));
    this.socket.on('message', (data: RawData) => {
      this.frames.push(JSON.parse((data as Buffer).toString()) as Frame);
      this.socket.emit('frame');
    });
  }

  async until(found: (frame: Frame) => boolean): Promise<Frame> {
    for (;;) {
      const frame = this.frames.find(found);
      if (frame !== undefined) return frame;
      await once(this.socket, 'frame');
    }
  }

  response(id: string): Promise<Frame> {
    return this.until((frame) => frame['type'] === 'response' && frame['id'] === id);
  }

  async send(...commands: Frame[]): Promise<void> {
    await this.until(({ type }) => type === 'server_ready');
    for (const command of commands) this.socket.send(JSON.stringify(command));
  }
}

const scripted = (turns: unknown): Frame => ({
  type: 'create_session',
  sessionId: 's',
  id: 'create',
  engine: 'scripted',
  input: { turns },
});
const prompt: Frame = { type: 'prompt', sessionId: 's', message: 'go', id: 'prompt' };
const started = ({ type, data }: Frame): boolean =>
  type === 'command_started' && (data as Frame)['commandId'] === 'prompt';

describe('a server', () => {
  it('says in one JSON line where it listens, and nothing else', async () => {
    const troupe = start();
    const line = await troupe.line('listening');
    expect(line).toMatchObject({
      level: 30,
      host: '127.0.0.1',
      port: expect.any(Number) as number,
      engine: 'echo',
      durable: true,
    });
    expect(line['url']).toBe(`http://127.0.0.1:${String(line['port'])}`);
    expect(troupe.log).toEqual([line]);
    expect(troupe.stderr()).toBe('');
  });

  it('takes an option from the command line before the environment before the file', async () => {
    writeFileSync(place.path('troupe.json'), JSON.stringify({ engine: 'echo', dataDir: 'from-file', port: 1 }));
    const env = { TROUPE_CONFIG: 'troupe.json', TROUPE_PORT: '2', TROUPE_ENGINE: 'scripted' };
    const troupe = place.run(['--port', '0'], { env });
    expect(await troupe.line('listening')).toMatchObject({ engine: 'scripted' });
    expect(place.files.sort()).toEqual(['from-file', 'troupe.json']);
  });

  it('warns of a variable that does nothing', async () => {
    const troupe = place.run(['--port', '0', '--data-dir', 'data'], { env: { TROUPE_PROT: '80' } });
    await troupe.line('listening');
    expect(troupe.log[0]).toMatchObject({ level: 40, msg: 'TROUPE_PROT is no option; the nearest one is TROUPE_PORT' });
  });

  it('writes no line below its level, and can be told to stop before it is ready', async () => {
    const args = ['--port', '0', '--data-dir', 'data', '--log-level', 'warn'];
    const troupe = place.run(args, { env: { TROUPE_PROT: '80' } });
    await troupe.line('TROUPE_PROT is no option; the nearest one is TROUPE_PORT');
    troupe.child.kill('SIGTERM');
    expect(await troupe.ended).toMatchObject({ code: 0, stderr: '' });
    expect(troupe.log).toHaveLength(1);
  });

  it('goes on when its log is not read: it waits in memory, up to a bound', async () => {
    const troupe = start();
    const { port, url } = await troupe.line('listening');
    troupe.child.stdout!.pause();
    // Far more lines than a pipe holds: a server that waits for its reader would hang here.
    const headers = { ...handshake, Host: 'localhost', Origin: `http://${'x'.repeat(99)}.example` };
    for (let batch = 0; batch < 12; batch += 1) {
      await Promise.all(Array.from({ length: 50 }, () => ask(Number(port), '/', headers)));
    }
    const client = new Client(url);
    await client.send({ type: 'ping', id: 'p' });
    expect(await client.response('p')).toMatchObject({ success: true });
    troupe.child.stdout!.resume();
    troupe.child.kill('SIGTERM');
    expect((await troupe.ended).code).toBe(0);
    expect(troupe.log.filter(({ msg }) => msg === 'upgrade refused')).toHaveLength(600);
  });

  it('goes on when nobody reads its log any more', async () => {
    const troupe = start('--log-level', 'debug');
    const { url } = await troupe.line('listening');
    troupe.child.stdout!.destroy();
    const refused = await fetch(String(url), { headers: { Origin: 'http://evil.example' } });
    expect(refused.status).toBe(403);
    for (let count = 0; count < 3; count += 1) {
      const client = new WebSocket(String(url), { headers: { Origin: 'http://evil.example' } });
      await once(client, 'error');
    }
    const client = new Client(url);
    await client.send({ type: 'ping', id: 'p' });
    expect(await client.response('p')).toMatchObject({ success: true });
    troupe.child.kill('SIGTERM');
    expect((await troupe.ended).code).toBe(0);
  });
});

describe('told to stop', () => {
  it.each(['SIGTERM', 'SIGINT'] as const)(
    'by %s, it drains, closes sockets with 1001 and ends with 0',
    async (signal) => {
      const troupe = start();
      const { url } = await troupe.line('listening');
      const client = new Client(url);
      await client.send(scripted([[{ delayMs: 200 }, { text: 'done' }]]), prompt);
      await client.until(started);
      const closed = once(client.socket, 'close');
      troupe.child.kill(signal);
      expect(await client.response('prompt')).toMatchObject({ success: true });
      expect((await closed)[0]).toBe(1001);
      expect(await troupe.ended).toMatchObject({ code: 0, signal: null, stderr: '' });
      const said = troupe.log.map(({ msg }) => msg).filter((msg) => msg !== 'connection closed');
      expect(said).toEqual(['listening', 'stopping', 'stopped']);
    },
  );

  it('twice within half a second, as npm and the terminal do, it drains all the same', async () => {
    const troupe = start();
    const { url } = await troupe.line('listening');
    const client = new Client(url);
    await client.send(scripted([[{ delayMs: 200 }, { text: 'done' }]]), prompt);
    await client.until(started);
    troupe.child.kill('SIGINT');
    await troupe.line('stopping');
    troupe.child.kill('SIGINT');
    expect(await client.response('prompt')).toMatchObject({ success: true });
    expect((await troupe.ended).code).toBe(0);
  });

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
  ] as const)('by %s again and again, it ends at once, but not before half a second', async (signal, code) => {
    const troupe = start();
    const { url } = await troupe.line('listening');
    const client = new Client(url);
    await client.send(scripted([[{ hang: true }]]), prompt);
    await client.until(started);
    client.socket.on('error', () => undefined);
    troupe.child.kill(signal);
    await troupe.line('stopping');
    const since = performance.now();
    const again = setInterval(() => troupe.child.kill(signal), 20);
    const ended = await troupe.ended;
    clearInterval(again);
    expect(ended.code).toBe(code);
    expect(performance.now() - since).toBeGreaterThan(REPETITION_MS - 100);
  });

  it('by SIGUSR1, it does what Node does: it opens the debugger', async () => {
    const troupe = place.run(['--port', '0', '--data-dir', 'data'], { node: ['--inspect-port=0'] });
    await troupe.line('listening');
    troupe.child.kill('SIGUSR1');
    await once(troupe.child.stderr!, 'data');
    expect(troupe.stderr()).toContain('Debugger listening');
    expect(troupe.log).toHaveLength(1);
  });
});

describe('a defect', () => {
  const defect = (what: string): string[] => [
    '--import',
    `data:text/javascript,${encodeURIComponent(`process.on('SIGUSR2', () => { ${what} })`)}`,
  ];

  it.each([
    ['an uncaught exception', "throw new Error('a bug')", 'fatal: uncaught exception'],
    ['an unhandled rejection', "Promise.reject(new Error('a bug'))", 'fatal: unhandled rejection'],
  ])('that is %s ends the process with one fatal line and leaves the journal intact', async (_, what, msg) => {
    const troupe = place.run(['--port', '0', '--data-dir', 'data'], { node: defect(what) });
    const { url } = await troupe.line('listening');
    const client = new Client(url);
    client.socket.on('error', () => undefined);
    await client.send({ type: 'create_session', sessionId: 's', id: '1' });
    expect(await client.response('1')).toMatchObject({ success: true });
    troupe.child.kill('SIGUSR2');
    const { code, stderr } = await troupe.ended;
    expect([code, stderr]).toEqual([1, '']);
    const fatal = troupe.log.filter(({ level }) => level === 60);
    expect(fatal).toMatchObject([
      { msg, err: { message: 'a bug', stack: expect.stringContaining('Error: a bug') as string } },
    ]);

    const next = start();
    expect(await next.line('listening')).toMatchObject({ sessions: 1 });
  });
});

describe('stop signals', () => {
  it('count a repetition by the time of the first one, whatever the signal', () => {
    let now = 1000;
    const seen: string[] = [];
    const signal = createStopSignals(() => now, {
      first: (name) => seen.push(`first ${name}`),
      second: (name) => seen.push(`second ${name}`),
    });
    signal('SIGINT');
    signal('SIGINT');
    now += REPETITION_MS - 1;
    signal('SIGTERM');
    expect(seen).toEqual(['first SIGINT']);
    now += 1;
    signal('SIGTERM');
    expect(seen).toEqual(['first SIGINT', 'second SIGTERM']);
  });
});

describe('the welcome at a terminal', () => {
  it('says where, with what, how to try it and how to stop it', () => {
    const text = welcome({ host: '::1', port: 3141, engine: 'echo', data: '/srv/troupe' });
    for (const part of ['ws://[::1]:3141', 'echo', '/srv/troupe', 'npx wscat -c', 'create_session', 'Ctrl-C']) {
      expect(text).toContain(part);
    }
  });
});
