/** The command `backup` on a real server: under load, by schedule, with old ones going, and when the server stops in the middle. */
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Workplace } from './troupe-process.ts';
import type { Troupe } from './troupe-process.ts';

vi.setConfig({ testTimeout: 90_000 });

type Frame = Readonly<Record<string, any>>; // eslint-disable-line @typescript-eslint/no-explicit-any -- frames of any kind

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

async function serve(...args: string[]): Promise<{ server: Troupe; ask: (command: object) => Promise<Frame> }> {
  const server = place.run(['--port', '0', '--data-dir', 'data', ...args]);
  const { url } = await server.line('listening');
  const socket = new WebSocket(String(url).replace(/^http/, 'ws'));
  const waiting = new Map<string, (frame: Frame) => void>();
  socket.on('message', (bytes: Buffer) => {
    const frame = JSON.parse(bytes.toString()) as Frame;
    if (frame['type'] === 'response') waiting.get(String(frame['id']))?.(frame);
  });
  await once(socket, 'open');
  const ask = (command: object): Promise<Frame> =>
    new Promise((resolve) => {
      const id = `c-${(sent += 1)}`;
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ ...command, id }));
    });
  return { server, ask };
}
let sent = 0;

const backups = (): string[] => readdirSync(place.path('data/backups')).sort();

/** Answers of durable commands, one after the other, for as long as `until` is not settled; milliseconds each. */
async function latencies(ask: (command: object) => Promise<Frame>, until: Promise<unknown>): Promise<number[]> {
  const over = new AbortController();
  void until.then(() => over.abort());
  const took: number[] = [];
  while (!over.signal.aborted) {
    const from = performance.now();
    await ask({ type: 'set_session_name', sessionId: 's', name: `${took.length}`, padding: 'x'.repeat(2_000) });
    took.push(performance.now() - from);
  }
  return took.sort((a, b) => a - b);
}

it('is answered while others are, keeps as many as it is told, and each of them can be restored', async () => {
  writeFileSync(place.path('troupe.json'), JSON.stringify({ backup: { keep: 2 } }));
  const { server, ask } = await serve('--config', 'troupe.json');
  await ask({ type: 'create_session', sessionId: 's' });
  await latencies(ask, new Promise((resolve) => setTimeout(resolve, 2_000)));
  const quiet = await latencies(ask, new Promise((resolve) => setTimeout(resolve, 1_000)));
  const made: Frame[] = [];
  const busy: number[] = [];
  for (let round = 0; round < 3; round += 1) {
    const backup = ask({ type: 'backup' });
    busy.push(...(await latencies(ask, backup)));
    made.push((await backup)['data'] as Frame);
  }
  busy.sort((a, b) => a - b);
  const at = (values: number[], part: number): string => values[Math.floor(values.length * part)]!.toFixed(1);
  console.log(
    `durable command: quiet p50 ${at(quiet, 0.5)} p99 ${at(quiet, 0.99)} ms, under backup p50 ${at(busy, 0.5)} p99 ${at(busy, 0.99)} ms`,
  );
  console.log(`backup: ${made[2]!['entries']} entries, ${made[2]!['bytes']} bytes in ${made[2]!['tookMs']} ms`);
  // Not a bound for speed: a command that waits for a whole backup would take its whole time.
  expect(busy.length).toBeGreaterThan(9);
  expect(backups()).toEqual(made.slice(1).map(({ path }) => String(path).split('/').at(-1)));
  for (const [index, name] of backups().entries()) {
    const restored = await place.end(['restore', `data/backups/${name}`, '--data-dir', `new-${index}`]);
    expect([restored.code, restored.stderr]).toEqual([0, '']);
  }
  server.child.kill('SIGTERM');
  expect((await server.ended).code).toBe(0);
  expect((await place.end(['verify', '--data-dir', 'data'])).code).toBe(0);
});

it('is made by schedule, once over restarts within an interval', async () => {
  writeFileSync(place.path('troupe.json'), JSON.stringify({ backup: { intervalMs: 3_600_000, dir: 'elsewhere' } }));
  for (let round = 0; round < 2; round += 1) {
    const { server, ask } = await serve('--config', 'troupe.json');
    if (round === 0) await server.line('backup made');
    expect((await ask({ type: 'get_metrics' }))['data'].housekeeping).toMatchObject([
      { task: 'backup', trigger: 'schedule', ok: true },
    ]);
    server.child.kill('SIGTERM');
    await server.ended;
  }
  expect(readdirSync(place.path('elsewhere'))).toEqual([expect.stringMatching(/^troupe-\d{8}T\d{9}Z\.db$/)]);
});

it('fails with a code where it can not be written, and the server says that it is not well', async () => {
  writeFileSync(place.path('troupe.json'), JSON.stringify({ backup: { dir: 'taken/here' } }));
  writeFileSync(place.path('taken'), 'a file');
  const { ask } = await serve('--config', 'troupe.json');
  const failed = await ask({ type: 'backup' });
  expect(failed).toMatchObject({ success: false, errorCode: 'BACKUP_FAILED' });
  expect(failed['error']).not.toContain('\n');
  expect((await ask({ type: 'health_check' }))['data']).toMatchObject({ healthy: false });
  expect(await ask({ type: 'create_session', sessionId: 's' })).toMatchObject({ success: true });
});

it('leaves what was there when the server is stopped or killed in the middle', async () => {
  mkdirSync(place.path('data'), { recursive: true });
  const first = await serve();
  await first.ask({ type: 'create_session', sessionId: 's' });
  await latencies(first.ask, new Promise((resolve) => setTimeout(resolve, 1_500)));
  await first.ask({ type: 'backup' });
  const [good] = backups();
  first.server.child.kill('SIGTERM');
  await first.server.ended;
  for (const signal of ['SIGTERM', 'SIGKILL'] as const) {
    const { server, ask } = await serve();
    void ask({ type: 'backup' });
    await vi.waitFor(() => expect(backups().length).toBeGreaterThan(1), { timeout: 30_000, interval: 1 });
    server.child.kill(signal);
    await server.ended;
    expect(existsSync(place.path(`data/backups/${good}`))).toBe(true);
    if (signal === 'SIGTERM') continue;
    const again = await serve();
    expect(await again.ask({ type: 'backup' })).toMatchObject({ success: true });
    expect(backups().filter((name) => !name.endsWith('.db'))).toEqual([]);
    again.server.child.kill('SIGTERM');
    await again.server.ended;
  }
});
