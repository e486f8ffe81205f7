import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { accessProblem } from '../../src/transports/access.ts';
import { ask, handshake, startTestServer, type TestServer } from './in-test-reception.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startTestServer();
});
afterAll(() => server.stop());

const body = (text: string): unknown => JSON.parse(text);

describe('the upgrade', () => {
  it.each([
    ['127.0.0.1', undefined],
    ['127.0.0.1:3141', undefined],
    ['localhost', undefined],
    ['LOCALHOST:3141', undefined],
    ['localhost.:3141', undefined],
    ['[::1]:3141', undefined],
    ['localhost:3141', 'http://localhost:3141'],
    ['localhost:3141', 'http://127.0.0.1:5173'],
    ['localhost:3141', 'https://localhost'],
    ['127.0.0.1:3141', 'http://[::1]:8080'],
  ])('is accepted with Host %s and Origin %s', async (host, origin) => {
    const headers = { ...handshake, Host: host, ...(origin !== undefined && { Origin: origin }) };
    expect((await ask(server.port, '/', headers)).status).toBe(101);
  });

  it.each([
    ['evil.example', undefined],
    ['evil.example:3141', undefined],
    ['127.0.0.1.evil.example', undefined],
    ['localhost.evil.example', undefined],
    ['localhost@evil.example', undefined],
    ['localhost/evil', undefined],
    ['192.168.1.5', undefined],
    ['[::2]', undefined],
    ['localhost', 'https://evil.example'],
    ['localhost', 'http://localhost.evil.example'],
    ['localhost', 'http://localhost@evil.example'],
    ['localhost', 'http://evil.example/localhost'],
    ['localhost', 'null'],
    ['localhost', 'file://'],
    ['localhost', 'chrome-extension://localhost'],
    ['evil.example', 'http://evil.example'],
  ])('is refused with Host "%s" and Origin %s', async (host, origin) => {
    const headers = { ...handshake, Host: host, ...(origin !== undefined && { Origin: origin }) };
    const answer = await ask(server.port, '/', headers);
    expect(answer.status).toBe(403);
    expect(answer.headers['content-type']).toBe('application/json; charset=utf-8');
    expect(body(answer.body)).toMatchObject({ success: false, errorCode: 'FORBIDDEN' });
    expect(server.observed.at(-1)).toMatchObject({ level: 'warn', message: 'upgrade refused', errorCode: 'FORBIDDEN' });
  });

  it('is refused without a Host', () => {
    for (const host of [undefined, '', ' '])
      expect(accessProblem({ host }, () => true)).toMatch(/^Host .* is not a name/);
  });

  it('quotes a long header only in part, and says what would be right', () => {
    const problem = accessProblem({ host: 'x'.repeat(10_000) }, () => false);
    expect(problem).toMatch(/^Host "x{100}\.\.\." is not a name of this server: connect to it as 127\.0\.0\.1/);
  });

  it('is accepted at / and /ws and nowhere else', async () => {
    const headers = { ...handshake, Host: 'localhost' };
    expect((await ask(server.port, '/ws', headers)).status).toBe(101);
    expect((await ask(server.port, '/?token=x', headers)).status).toBe(101);
    for (const path of ['/ws/', '/wss', '/../ws', '//', '/healthz']) {
      const answer = await ask(server.port, path, headers);
      expect([path, answer.status]).toEqual([path, 404]);
      expect(body(answer.body)).toMatchObject({ errorCode: 'UNSUPPORTED' });
    }
  });
});

describe('a plain request', () => {
  it('is told to use WebSocket, with the address', async () => {
    const answer = await ask(server.port, '/', { Host: 'localhost' });
    expect(answer.status).toBe(426);
    expect(answer.headers.upgrade).toBe('websocket');
    expect(body(answer.body)).toEqual({
      success: false,
      errorCode: 'UNSUPPORTED',
      error: `This address speaks WebSocket: connect a client to ws://127.0.0.1:${server.port}`,
    });
  });

  it('is refused under a foreign name like an upgrade', async () => {
    expect((await ask(server.port, '/', { Host: 'evil.example' })).status).toBe(403);
  });

  it('that asks for another protocol gets the same answer', async () => {
    const answer = await ask(server.port, '/', { Host: 'localhost', Connection: 'Upgrade', Upgrade: 'h2c' });
    expect(answer.status).toBe(426);
  });
});
