/** `troupe backup` and `troupe restore` as processes: beside a server, after it was killed, and where they can't do it. */
import { spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { Entry } from '../../actors/entry.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import { Workplace } from './troupe-process.ts';
import type { Troupe } from './troupe-process.ts';

// Every test starts processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 90_000 });

const MAIN = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));

type Frame = Readonly<Record<string, any>>; // eslint-disable-line @typescript-eslint/no-explicit-any -- frames of any kind

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

interface Asked {
  readonly server: Troupe;
  readonly frames: readonly Frame[];
  ask(command: Readonly<Record<string, unknown>>): Promise<Frame>;
}

async function serve(dataDir: string): Promise<Asked> {
  const server = place.run(['--port', '0', '--data-dir', dataDir]);
  const { url } = await server.line('listening');
  const socket = new WebSocket(String(url).replace(/^http/, 'ws'));
  const frames: Frame[] = [];
  const waiting = new Map<string, (frame: Frame) => void>();
  socket.on('message', (bytes: Buffer) => {
    const frame = JSON.parse(bytes.toString()) as Frame;
    frames.push(frame);
    if (frame['type'] === 'response') waiting.get(String(frame['id']))?.(frame);
  });
  await once(socket, 'open');
  let sent = 0;
  const ask: Asked['ask'] = (command) =>
    new Promise((resolve) => {
      const id = String(command['id'] ?? `${dataDir}-${(sent += 1)}`);
      waiting.set(id, resolve);
      socket.send(JSON.stringify({ ...command, id }));
    });
  return { server, frames, ask };
}

async function stop({ child, ended }: Troupe, signal: NodeJS.Signals): Promise<void> {
  child.kill(signal);
  await ended;
}

const backup = (...options: string[]) => place.end(['backup', '--data-dir', 'data', '--out', 'b.db', ...options]);

describe('troupe backup and restore', () => {
  it('bring back, in a new epoch, what a server under load had when the backup was made', async () => {
    const { server, ask } = await serve('data');
    const created = await ask({ type: 'create_session', sessionId: 's', name: 'kept' });
    await ask({ type: 'prompt', sessionId: 's', message: 'hello durable world' });
    const first = { type: 'set_session_name', sessionId: 's', name: 'renamed', id: 'r', idempotencyKey: 'k' };
    await ask(first);
    const { data: before } = await ask({ type: 'attach_session', sessionId: 's' });

    const busy = new AbortController();
    const load = (async () => {
      let count = 0;
      for (; !busy.signal.aborted; count += 1)
        await ask({ type: 'set_session_name', sessionId: 's', name: `n ${count}` });
      return count;
    })();
    const made = await backup('--json');
    busy.abort();
    expect([made.code, made.stderr]).toEqual([0, '']);
    expect(await load).toBeGreaterThan(0);
    expect(JSON.parse(made.stdout)).toMatchObject({
      path: place.path('b.db'),
      bytes: readFileSync(place.path('b.db')).length,
    });
    await stop(server, 'SIGKILL');

    const restored = await place.end(['restore', 'b.db', '--data-dir', 'new']);
    expect([restored.code, restored.stderr]).toEqual([0, '']);
    expect(restored.stdout).toMatch(
      /^\S+\/new\/journal\.db: restored \d+ entries up to offset \d+, 1 session in a new epoch\n$/,
    );
    expect((await place.end(['verify', '--data-dir', 'new'])).code).toBe(0);

    const again = await serve('new');
    const { data: after } = await again.ask({ type: 'attach_session', sessionId: 's' });
    expect(created['success']).toBe(true);
    expect(after.epoch).not.toBe(before.epoch);
    expect(after.watermark).toBeGreaterThanOrEqual(before.watermark);
    // A cursor of the future that is lost: a gap that is said, and never other events under its numbers.
    const cursor = { epoch: before.epoch, seq: before.watermark };
    await again.ask({ type: 'attach_session', sessionId: 's', after: cursor });
    await vi.waitFor(() => expect(again.frames.some(({ type }) => type === 'session_synced')).toBe(true), 10_000);
    expect(again.frames.find(({ type }) => type === 'session_gap')).toMatchObject({
      data: { sessionId: 's', epoch: after.epoch, reason: 'foreign_epoch' },
    });
    expect(again.frames.filter(({ type, ephemeral }) => type === 'event' && ephemeral !== true)).toEqual([]);
    const { data: messages } = await again.ask({ type: 'get_messages', sessionId: 's' });
    expect(JSON.stringify(messages)).toContain('hello durable world');
    // What was done before the backup is not done again, by its id nor by its key.
    expect(await again.ask(first)).toMatchObject({ success: true, replayed: true });
    expect(await again.ask({ ...first, id: 'r2' })).toMatchObject({ success: true, replayed: true });
    const renamed = await again.ask({ type: 'set_session_name', sessionId: 's', name: 'goes on' });
    expect(renamed['success']).toBe(true);
    await stop(again.server, 'SIGTERM');

    // The epoch stays from now on.
    const later = await serve('new');
    expect((await later.ask({ type: 'attach_session', sessionId: 's' }))['data'].epoch).toBe(after.epoch);
  });

  it('take what a killed server left in its log', async () => {
    const { server, ask } = await serve('data');
    await ask({ type: 'create_session', sessionId: 's', name: 'in the log' });
    await stop(server, 'SIGKILL');
    const files = readdirSync(place.path('data'));
    const { code, stdout } = await backup();
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\S+\/b\.db: \d+ bytes, \d+ entries up to offset \d+, verified; sha256 [0-9a-f]{64}\n$/);
    expect(readdirSync(place.path('data'))).toEqual(files);
    await place.end(['restore', 'b.db', '--data-dir', 'new']);
    const again = await serve('new');
    expect((await again.ask({ type: 'list_sessions' }))['data'].sessions).toMatchObject([
      { sessionName: 'in the log' },
    ]);
  });

  it('refuse in one line what they can not do, and leave nothing behind', async () => {
    const { server, ask } = await serve('data');
    await ask({ type: 'create_session', sessionId: 's' });
    expect((await backup()).code).toBe(0);
    mkdirSync(place.path('full'));
    writeFileSync(place.path('full/x'), 'mine');
    writeFileSync(place.path('bad.db'), readFileSync(place.path('b.db')).subarray(0, 9_000));
    const before = place.files;
    const refusals: [args: string[], code: number, line: RegExp][] = [
      [
        ['restore', 'b.db', '--data-dir', 'full'],
        4,
        /full is not empty: restore into a directory that is new or empty$/,
      ],
      [['restore', 'b.db', '--data-dir', 'data'], 4, /data is not empty: /],
      [['restore', 'bad.db', '--data-dir', 'new'], 4, /bad\.db is damaged \(.+\): restore another backup$/],
      [['restore', 'none.db', '--data-dir', 'new'], 4, /none\.db is no backup of troupe \(.+\): name another file$/],
      [['backup', '--data-dir', 'none', '--out', 'c.db'], 4, /none holds no journal of troupe/],
      [['backup', '--data-dir', 'data', '--out', 'none/c.db'], 1, /none is no directory: make it first/],
      [['backup', '--data-dir', 'data', '--out', 'full/x'], 1, /x is there and is no backup of troupe/],
      [['backup', '--data-dir', 'data', '--out', 'data/journal.db'], 1, /is there and is no backup of troupe/],
      [['backup', '--data-dir', 'data'], 2, /--out <file>/],
      [['restore', '--data-dir', 'new'], 2, /missing required argument 'file'/],
    ];
    for (const [args, code, line] of refusals) {
      const ended = await place.end(args);
      expect([args, ended.code, ended.stdout]).toEqual([args, code, '']);
      expect(ended.stderr.split('\n')).toEqual([expect.stringMatching(/^troupe: /), '']);
      expect(ended.stderr.trim()).toMatch(line);
      expect(place.files).toEqual(before);
    }
    expect((await ask({ type: 'verify_journal' }))['data']).toMatchObject({ ok: true });
    await stop(server, 'SIGTERM');
  });

  it('leave the backup of before in place when they are killed, and when the disk takes no more', async () => {
    await fillJournal(3_000);
    expect((await backup()).code).toBe(0);
    const good = readFileSync(place.path('b.db'));
    for (let round = 0; round < 4; round += 1) {
      const cut = place.run(['backup', '--data-dir', 'data', '--out', 'b.db']);
      await vi.waitFor(() => expect(existsSync(place.path('b.db.new'))).toBe(true), { timeout: 30_000, interval: 1 });
      await new Promise((resolve) => setTimeout(resolve, round * 40));
      cut.child.kill('SIGKILL');
      await cut.ended;
      expect(readFileSync(place.path('b.db')).equals(good)).toBe(true);
    }
    const limited = spawnSync(
      'prlimit',
      [
        `--fsize=${Math.floor(good.length / 2)}`,
        process.execPath,
        MAIN,
        'backup',
        '--data-dir',
        'data',
        '--out',
        'b.db',
      ],
      { cwd: place.folder, encoding: 'utf8' },
    );
    expect([limited.status, limited.stdout]).toEqual([1, '']);
    expect(limited.stderr).toMatch(/^troupe: \S+\/b\.db can not be written \(.+\): look after the disk, or .+\n$/);
    expect(readFileSync(place.path('b.db')).equals(good)).toBe(true);
    expect(place.files.sort()).toEqual(['b.db', 'data']);
    expect((await backup()).code).toBe(0);
    expect((await place.end(['restore', 'b.db', '--data-dir', 'new'])).code).toBe(0);
  });

  it('restore nothing when killed, and can be asked again', async () => {
    await fillJournal(3_000);
    await backup();
    for (let round = 0; round < 3; round += 1) {
      const cut = place.run(['restore', 'b.db', '--data-dir', 'new']);
      await vi.waitFor(() => expect(existsSync(place.path('new/journal.db.new'))).toBe(true), {
        timeout: 30_000,
        interval: 1,
      });
      cut.child.kill('SIGKILL');
      await cut.ended;
      expect(existsSync(place.path('new/journal.db'))).toBe(false);
    }
    const { code, stderr } = await place.end(['restore', 'b.db', '--data-dir', 'new']);
    expect([code, stderr]).toEqual([0, '']);
    expect(readdirSync(place.path('new')).sort()).toEqual(['journal.db', 'journal.head', 'lock']);
  });
});

/** A journal that takes a moment to be copied. */
async function fillJournal(count: number): Promise<void> {
  const journal = createSqliteJournal({ dataDir: place.path('data') });
  await journal.open();
  const at = Date.UTC(2026, 5, 1);
  const entries: Entry[] = [
    { kind: 'server.started', boot: 1, serverVersion: '0', content: {}, offset: 1, lane: 'server', laneSeq: 1, at },
  ];
  for (let offset = 2; offset <= count; offset += 1) {
    entries.push({
      kind: 'command.settled',
      commandId: `c-${offset}`,
      commandType: 'backup',
      explicitId: true,
      principal: 'local',
      mailbox: 'control',
      success: true,
      content: { command: JSON.stringify({ type: 'backup', filler: 'x'.repeat(4_000) }) },
      offset,
      lane: 'server',
      laneSeq: offset,
      at,
    });
  }
  await commit(journal, entries);
  await journal.close();
}
