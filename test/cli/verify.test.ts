/** `troupe verify` as a process, on what real servers wrote: while they run, after they were killed, after they stopped. */
import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { Workplace } from './troupe-process.ts';
import type { Ended, Troupe } from './troupe-process.ts';

// Every test starts processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

/** A server on `data` that has done something, and the next command goes to it as well. */
async function busyServer(
  ...options: string[]
): Promise<{ server: Troupe; ask: (command: object) => Promise<unknown> }> {
  const server = place.run(['--port', '0', '--data-dir', 'data', ...options]);
  const { url } = await server.line('listening');
  const socket = new WebSocket(String(url).replace(/^http/, 'ws'));
  await once(socket, 'open');
  const ask = async (command: object): Promise<unknown> => {
    const id = `c-${(sent += 1)}`;
    const answered = new Promise((resolve) => {
      const hear = (bytes: Buffer): void => {
        const frame = JSON.parse(bytes.toString()) as { type: string; id?: string };
        if (frame.type !== 'response' || frame.id !== id) return;
        socket.off('message', hear);
        resolve(frame);
      };
      socket.on('message', hear);
    });
    socket.send(JSON.stringify({ id, ...command }));
    return answered;
  };
  await ask({ type: 'create_session', sessionId: 's' });
  await ask({ type: 'set_session_name', sessionId: 's', name: 'x' });
  await ask({ type: 'prompt', sessionId: 's', message: 'hello durable world' });
  return { server, ask };
}
let sent = 0;

function verify(...options: string[]): Promise<Ended> {
  return place.end(['verify', '--data-dir', 'data', ...options]);
}

/** Everything about every file of the data directory. */
function contents(): unknown {
  return readdirSync(place.path('data')).map((name) => {
    const path = join(place.path('data'), name);
    const { size, mtimeMs } = statSync(path);
    return [name, size, mtimeMs, createHash('sha256').update(readFileSync(path)).digest('hex')];
  });
}

describe('troupe verify', () => {
  it('finds a journal clean beside its server, after kill -9, and after a stop, and changes nothing', async () => {
    const { server, ask } = await busyServer();
    const running = contents();
    const beside = await verify();
    expect(beside).toMatchObject({ code: 0, stderr: '' });
    expect(beside.stdout).toMatch(
      /^\S+\/data\/journal\.db: clean; checked \d+ entries in 2 lanes, 3 commands \(3 with an outcome, 0 open\), 1 session, 1 boot\n$/,
    );
    expect(contents()).toEqual(running);
    expect(await ask({ type: 'verify_journal' })).toMatchObject({ success: true, data: { ok: true, commands: 3 } });

    server.child.kill('SIGKILL');
    await server.ended;
    const killed = contents();
    expect((await verify()).stdout).toContain(': clean; ');
    expect(contents()).toEqual(killed);

    const again = place.run(['--port', '0', '--data-dir', 'data']);
    await again.line('listening');
    again.child.kill('SIGTERM');
    await again.ended;
    const stopped = contents();
    const report = JSON.parse((await verify('--json')).stdout) as Record<string, unknown>;
    expect(report).toMatchObject({ ok: true, boots: 2, commands: 3, problems: [], dataDir: place.path('data') });
    expect(contents()).toEqual(stopped);
  });

  it('names lane, laneSeq and offset of what is wrong, and exits with 1', async () => {
    const { server } = await busyServer();
    server.child.kill('SIGTERM');
    await server.ended;
    const database = new Database(place.path('data/journal.db'));
    database.exec(`UPDATE entries SET content = replace(content, '"x"', '"y"') WHERE meta LIKE '%set_session_name%'`);
    const [offset, laneSeq] = database
      .prepare<[], [number, number]>(`SELECT "offset", lane_seq FROM entries WHERE meta LIKE '%set_session_name%'`)
      .raw()
      .get()!;
    database.close();

    const { code, stdout, stderr } = await verify();
    expect([code, stderr]).toEqual([1, '']);
    const [line, verdict] = stdout.split('\n');
    expect(line).toBe(`session:s laneSeq ${laneSeq} offset ${offset}: its hash does not follow from what is stored`);
    expect(verdict).toMatch(/journal\.db: 1 problem; checked \d+ entries/);

    const asJson = await verify('--json');
    expect(asJson.code).toBe(1);
    expect(JSON.parse(asJson.stdout)).toMatchObject({
      ok: false,
      problemCount: 1,
      problems: [{ lane: 'session:s', laneSeq, offset }],
    });
  });

  it('finds a snapshot that is not what folding gives, also under a digest that fits, and says what it could not check', async () => {
    writeFileSync(place.path('short.json'), JSON.stringify({ passivation: { idleMs: 20 }, idempotency: { ttlMs: 1 } }));
    const { server, ask } = await busyServer('--config', 'short.json');
    const rest = async (): Promise<void> => {
      const resting = async (): Promise<void> => {
        const { data } = (await ask({ type: 'get_metrics' })) as { data: { live: object } };
        expect(data.live).toMatchObject({ sessions: 0, passive: 2 });
      };
      await vi.waitFor(resting, { timeout: 20_000 });
    };
    await ask({ type: 'create_session', sessionId: 'other' });
    await rest();
    expect(await ask({ type: 'backup' })).toMatchObject({ success: true });
    expect(await ask({ type: 'compact_journal' })).toMatchObject({ success: true, data: { lanes: 1 } });
    await ask({ type: 'set_session_name', sessionId: 's', name: 'y' });
    await ask({ type: 'set_session_name', sessionId: 'other', name: 'z' });
    await rest();
    server.child.kill('SIGTERM');
    await server.ended;

    const clean = await verify('--json');
    const checks = {
      entries: { wrong: 0 },
      anchors: { checked: 1, wrong: 0 },
      snapshots: { checked: 2, wrong: 0, passedOver: 0 },
    };
    expect(JSON.parse(clean.stdout)).toMatchObject({ ok: true, checks });
    expect((await verify()).stdout).toMatch(
      /: clean; checked .*, 2 snapshots, 1 anchor, 4 entries that remain of dropped commands; not checked: \d+ entries that were dropped\n$/,
    );

    const database = new Database(place.path('data/journal.db'));
    const [lane, offset, body] = database
      .prepare<[], [string, number, string]>(
        `SELECT l.name, s."offset", s.body FROM snapshots s JOIN lanes l ON l.id = s.lane_id WHERE l.name = 'session:other'`,
      )
      .raw()
      .get()!;
    const put = database.prepare(`UPDATE snapshots SET body = ?, digest = unhex(?) WHERE "offset" = ?`);
    const digestOf = (text: string) => createHash('sha256').update(`${lane}\n${offset}\n${text}`).digest('hex');
    const turns = body.replace('"turns":0', '"turns":1');
    const older = body.replace(/"foldHash":"[^"]*"/, '"foldHash":"another"');
    for (const [text, digest, problem] of [
      [turns, digestOf(body), 'its snapshot is not as it was kept'],
      [turns, digestOf(turns), 'its snapshot is not what folding gives, in state.turns'],
    ] as const) {
      expect(text).not.toBe(body);
      put.run(text, digest, offset);
      const wrong = await verify();
      expect([wrong.code, wrong.stdout.split('\n')[0]]).toEqual([1, `session:other offset ${offset}: ${problem}`]);
      expect(JSON.parse((await verify('--json')).stdout)).toMatchObject({
        ok: false,
        problemCount: 1,
        checks: { snapshots: { checked: 2, wrong: 1, passedOver: 0 } },
      });
    }
    put.run(older, digestOf(older), offset);
    const passed = await verify();
    expect([passed.code, passed.stdout]).toEqual([
      0,
      expect.stringContaining('1 snapshot of other versions') as string,
    ]);
    put.run(body, digestOf(body), offset);
    database.exec(`UPDATE anchors SET dropped_lane_seq = dropped_lane_seq - 1`);
    database.close();
    const anchors = JSON.parse((await verify('--json')).stdout) as { checks: { anchors: { wrong: number } } };
    expect(anchors.checks.anchors.wrong).toBeGreaterThan(0);
  });

  it('names the first offset that is missing when the newest entries are gone', async () => {
    const { server } = await busyServer();
    server.child.kill('SIGTERM');
    await server.ended;
    const database = new Database(place.path('data/journal.db'));
    const last = database.prepare<[], number>('SELECT max("offset") FROM entries').pluck().get()!;
    database.exec(`DELETE FROM entries WHERE "offset" > ${last - 2}`);
    database.close();

    const { code, stdout } = await verify();
    expect(code).toBe(1);
    const known = `offset ${last - 1} is missing, journal.head knows entries up to offset ${last}`;
    expect(stdout.split('\n')[0]).toBe(`offset ${last - 1}: ${known}`);
    const started = await place.run(['--port', '0', '--data-dir', 'data']).ended;
    expect(started.code).toBe(4);
    expect(started.stderr).toContain(`journal.db is damaged (${known}): restore it from a backup, or `);
  });

  it('does not let a damaged name steer the terminal', async () => {
    const { server } = await busyServer();
    server.child.kill('SIGTERM');
    await server.ended;
    const database = new Database(place.path('data/journal.db'));
    database.exec(`UPDATE lanes SET name = 'session:' || char(27) || '[2J' WHERE name = 'session:s'`);
    database.close();
    const { code, stdout } = await verify();
    expect(code).toBe(1);
    expect(stdout).not.toContain('\u001b');
    expect(stdout).toContain('session:\ufffd[2J laneSeq 1 ');
  });

  it.each([
    ['is not there', () => undefined],
    [
      'holds something else',
      () => {
        mkdirSync(place.path('data'));
        writeFileSync(place.path('data/thesis.txt'), 'mine');
      },
    ],
  ])('refuses a directory that %s, and makes nothing', async (_what, make) => {
    make();
    const before = place.files;
    const { code, stdout, stderr } = await verify();
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/^troupe: \S+\/data holds no journal of troupe: .*--data-dir\n$/);
    expect(place.files).toEqual(before);
  });
});
