/** `troupe history` and `troupe replay` as processes: on recorded journals, beside a server that runs, and on what is not there. */
import Database from 'better-sqlite3';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { cpSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import type { CommandSettled, Entry } from '../../actors/entry.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import { entriesIn } from '../history/outcome.ts';
import type { Expected } from '../history/outcome.ts';
import { limits } from '../support/world.ts';
import { Workplace } from './troupe-process.ts';
import type { Ended } from './troupe-process.ts';

// Every test starts processes: seconds on a busy machine.
vi.setConfig({ testTimeout: 120_000 });

const recorded = fileURLToPath(new URL('../history/0.1.0-schema-1/', import.meta.url));

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

function take(scenario: string): Expected {
  cpSync(join(recorded, scenario, 'data'), place.path('data'), { recursive: true });
  return JSON.parse(readFileSync(join(recorded, scenario, 'expected.json'), 'utf8')) as Expected;
}

const run = (command: string, ...options: string[]): Promise<Ended> =>
  place.end([command, '--data-dir', 'data', ...options]);

interface Picture {
  readonly seq: number;
  readonly epoch: string;
  readonly value: unknown;
  readonly context: Readonly<Record<string, unknown>>;
  readonly children: Readonly<Record<string, unknown>>;
  readonly commands: readonly { commandId: string; success: boolean; errorCode?: string; sessionVersion?: number }[];
  readonly diff: { from: number; to: number; changes: readonly { path: string; before?: unknown; after?: unknown }[] };
}

async function replay(...options: string[]): Promise<Picture> {
  const { code, stdout, stderr } = await run('replay', '--json', ...options);
  expect([code, stderr]).toEqual([0, '']);
  return JSON.parse(stdout) as Picture;
}

function contents(): unknown {
  return readdirSync(place.path('data')).map((name) => {
    const path = join(place.path('data'), name);
    const { size, mtimeMs } = statSync(path);
    return [name, size, mtimeMs, createHash('sha256').update(readFileSync(path)).digest('hex')];
  });
}

/** Outcomes of the newest incarnation by the entries' own order. */
function outcomesIn(entries: readonly Entry[], sessionId: string): unknown[] {
  let found: unknown[] = [];
  for (const entry of entries) {
    if (entry.lane !== `session:${sessionId}`) continue;
    if (entry.kind !== 'command.settled' && entry.kind !== 'command.finished') continue;
    if (entry.content.facts?.some(({ type }) => type === 'session.opened') === true) found = [];
    const { commandId, commandType, laneSeq, offset, success, errorCode, sessionVersion } = entry;
    const told = { commandId, commandType, laneSeq, offset, success, errorCode, sessionVersion };
    found.push(Object.fromEntries(Object.entries(told).filter(([, value]) => value !== undefined)));
  }
  return found;
}

describe('troupe replay', () => {
  it.each(['conversation', 'killed', 'rebuilt'])(
    'Replay output matches lane order + terminal outcomes: %s',
    async (scenario) => {
      const { sessions } = take(scenario);
      // The chart knows how deep its mailbox may get, and those of the expectation were folded with another depth.
      const config = place.path('troupe.json');
      writeFileSync(config, JSON.stringify({ limits: { mailboxDepthMax: limits.mailboxDepthMax } }));
      const entries = await entriesIn(place.path('data'));
      const before = contents();
      for (const [id, { state, chart }] of Object.entries(sessions)) {
        const picture = await replay('--session', id, '--commands', '--config', config);
        const { id: _id, ...data } = state as { readonly id: string; readonly seq: number };
        expect(picture).toMatchObject({ seq: data.seq, value: chart.value, context: data, children: chart.children });
        expect(picture.context).toMatchObject(chart.context as object);
        expect(picture.commands).toEqual(outcomesIn(entries, id));
      }
      expect(contents()).toEqual(before);
    },
  );

  it('shows a session at an event, and what differs between two', async () => {
    take('conversation');
    const at = await replay('--session', 'a', '--to', '1');
    expect(at).toMatchObject({ seq: 1, value: { active: 'idle' }, context: { name: 'renamed', messages: [] } });
    const { diff } = await replay('--session', 'a', '--to', '1', '--diff', '0');
    expect(diff).toMatchObject({ from: 0, to: 1 });
    expect(diff.changes).toContainEqual({ path: 'context.name', before: 'the first', after: 'renamed' });
    expect(diff.changes).toContainEqual({ path: 'context.version', before: 0, after: 1 });
    expect(diff.changes.every(({ path }) => /^context\.(name|version|lastActivityAt)$/.test(path))).toBe(true);

    const text = await run('replay', '--session', 'a', '--to', '1', '--diff', '0');
    expect(text.stdout).toContain('~ context.name: the first -> renamed\n');
    expect((await run('replay', '--session', 'a', '--to', '1')).stdout).toMatch(
      /^session a at event 1 of epoch \w+\n\n○ opening\n○ preparing\n● active\n {2}● idle\n {2}○ busy\n/,
    );
  });

  it('shows any incarnation of an id', async () => {
    take('conversation');
    const newest = await replay('--session', 'twice.1');
    expect(newest).toMatchObject({ context: { name: 'new', closed: null } });
    const entries = await entriesIn(place.path('data'));
    const epochs = entries.flatMap((entry) =>
      entry.kind === 'command.settled' && entry.lane === 'session:twice.1'
        ? (entry.content.facts ?? []).flatMap((fact) => (fact.type === 'session.opened' ? [fact.epoch] : []))
        : [],
    );
    expect(epochs).toHaveLength(2);
    expect(await replay('--session', 'twice.1', '--epoch', epochs[0]!)).toMatchObject({
      epoch: epochs[0],
      value: 'closed',
      context: { name: 'old', closed: 'deleted' },
    });
    expect(await replay('--session', 'gone')).toMatchObject({ value: 'closed', context: { closed: 'deleted' } });
  });

  it.each<[string[], number, RegExp]>([
    [['--session', 'nobody'], 1, /^troupe: there is no session "nobody" in \S+journal\.db\n$/],
    [['--session', 'a', '--epoch', 'x'], 1, /^troupe: session "a" never had the epoch "x" in \S+journal\.db\n$/],
    [
      ['--session', 'a', '--to', '9999'],
      1,
      /^troupe: CURSOR_EXPIRED: session "a" has no event 9999: the newest one is \d+\n$/,
    ],
    [['--session', 'a', '--to', '-1'], 2, /^troupe: --to must be a whole number from 0 on\n$/],
    [[], 2, /^troupe: required option '--session <id>' not specified \(see troupe --help\)\n$/],
  ])('says in one line what is wrong with %j', async (options, exitCode, line) => {
    take('conversation');
    const { code, stdout, stderr } = await run('replay', ...options);
    expect([code, stdout]).toEqual([exitCode, '']);
    expect(stderr).toMatch(line);
  });

  it('refuses a directory without a journal, and makes nothing', async () => {
    mkdirSync(place.path('data'));
    const { code, stderr } = await run('replay', '--session', 's');
    expect(code).toBe(4);
    expect(stderr).toMatch(/^troupe: \S+\/data holds no journal of troupe: .*--data-dir\n$/);
    expect(readdirSync(place.path('data'))).toEqual([]);
  });
});

describe('what is not all there any more', () => {
  /** Blanks what the sessions said, and stores one command more that lost something before it was stored. */
  async function takeAway(): Promise<void> {
    const journal = createSqliteJournal({ dataDir: place.path('data') });
    const { offset } = await journal.open();
    await journal.blank({ through: offset, lane: 'session:a' });
    const entries = await entriesIn(place.path('data'));
    const last = entries.findLast(({ lane }) => lane === 'session:a')!;
    const named = entries.findLast((entry) => entry.lane === 'session:a' && entry.kind === 'command.settled')!;
    const { blanked: _blanked, ...rest } = { ...named, ...placeBehind(last, offset) } as CommandSettled;
    const command = '{"type":"set_session_name","id":"marked","sessionId":"a","name":"[redacted]"}';
    const content = { command };
    await commit(journal, [{ ...rest, commandId: 'marked', redacted: true, fingerprint: '0'.repeat(64), content }]);
    await journal.close();
  }

  const placeBehind = ({ laneSeq, at }: Entry, offset: number) => ({ offset: offset + 1, laneSeq: laneSeq + 1, at });

  it('is marked by history, replay and export, and told to whoever reads', async () => {
    take('conversation');
    await takeAway();
    const lines = (await run('history', '--session', 'a', '--json', '--all')).stdout.trim().split('\n');
    const phases = lines.map((line) => JSON.parse(line) as Record<string, unknown>);
    expect(phases.filter(({ blanked }) => blanked === true).length).toBeGreaterThan(10);
    expect(phases.filter(({ redacted }) => redacted === true).map(({ commandId }) => commandId)).toContain('marked');
    const text = await run('history', '--session', 'a', '--all');
    expect(text.stdout).toMatch(/ name \(blanked\)\n/);
    expect(text.stdout).toMatch(/ marked \(redacted\)\n/);

    const picture = await replay('--session', 'a', '--commands');
    expect(picture).toMatchObject({ redacted: 1 });
    expect(picture).toHaveProperty('blanked', expect.any(Number));
    expect(picture.commands.find(({ commandId }) => commandId === 'marked')).toMatchObject({ redacted: true });
    expect(picture.commands.find(({ commandId }) => commandId === 'name')).toMatchObject({ blanked: true });
    const shown = await run('replay', '--session', 'a', '--commands');
    expect([shown.code, shown.stderr]).toEqual([0, '']);
    expect(shown.stdout).toMatch(/\nnot all that was said is there: blanked in \d+ entries, redacted in 1 entry\n/);
    for (const seq of [1, picture.seq - 2]) await replay('--session', 'a', '--to', String(seq), '--diff', '0');

    expect((await run('export', '--session', 'a', '--out', 'a.jsonl')).code).toBe(0);
    const exported = readFileSync(place.path('a.jsonl'), 'utf8').trim().split('\n');
    expect(exported.filter((line) => line.includes('"blanked":true')).length).toBeGreaterThan(10);
    expect(exported.filter((line) => line.includes('"redacted":true'))).toHaveLength(1);
  });

  it('is damage where entries are missing in a lane, with the place', async () => {
    take('conversation');
    const [, second, third] = (await entriesIn(place.path('data'))).filter(({ lane }) => lane === 'session:a');
    const database = new Database(place.path('data/journal.db'));
    database.pragma('foreign_keys = OFF');
    database.exec(`DELETE FROM entries WHERE "offset" = ${second!.offset}`);
    database.close();
    const line = `offset ${third!.offset} is number 3 of session:a, where number 2 belongs`;
    for (const args of [['replay', '--session', 'a'], ['export', '--out', 'a.jsonl'], ['history']]) {
      const { code, stderr } = await run(args[0]!, ...args.slice(1));
      expect([args[0], code]).toEqual([args[0], 4]);
      expect(stderr).toContain(line);
    }
  });
});

describe('beside a server that runs', () => {
  it('replay shows what get_session_snapshot shows, history what get_command_history shows, and the server goes on', async () => {
    const server = place.run(['--port', '0', '--data-dir', 'data']);
    const { url } = await server.line('listening');
    const socket = new WebSocket(String(url).replace(/^http/, 'ws'));
    await once(socket, 'open');
    const ask = (command: object): Promise<{ data: Record<string, unknown> }> => {
      const id = `c-${(sent += 1)}`;
      return new Promise((resolve) => {
        const hear = (bytes: Buffer): void => {
          const frame = JSON.parse(bytes.toString()) as { type: string; id?: string; data: Record<string, unknown> };
          if (frame.type !== 'response' || frame.id !== id) return;
          socket.off('message', hear);
          resolve(frame);
        };
        socket.on('message', hear);
        socket.send(JSON.stringify({ id, ...command }));
      });
    };
    await ask({ type: 'create_session', sessionId: 's' });
    await ask({ type: 'set_session_name', sessionId: 's', name: 'x' });
    await ask({ type: 'prompt', sessionId: 's', message: 'hello durable world' });
    const now = await ask({ type: 'get_session_snapshot', sessionId: 's' });
    expect(await replay('--session', 's')).toEqual(now.data);
    for (const seq of [0, 1, 4]) {
      const { data } = await ask({ type: 'get_session_snapshot', sessionId: 's', seq });
      expect(await replay('--session', 's', '--to', String(seq))).toEqual(data);
    }
    const asked = { sessionIdFilter: 's', outcome: 'success', direction: 'backward', limit: 2 };
    const { data } = await ask({ type: 'get_command_history', ...asked });
    const options = ['--session', 's', '--outcome', 'success', '--backward', '--limit', '2', '--json'];
    const { stdout, stderr, code } = await run('history', ...options);
    expect(code).toBe(0);
    expect(
      stdout
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
    ).toEqual(data['entries']);
    expect(stderr).toBe(`troupe: there is more: --cursor ${String(data['nextCursor'])}, or --all\n`);
    expect(await ask({ type: 'verify_journal' })).toMatchObject({ data: { ok: true } });
    socket.terminate();
  });
});
let sent = 0;

describe('troupe history', () => {
  it('prints a row for each phase, and all pages if asked to', async () => {
    take('conversation');
    const { stdout, code, stderr } = await run('history', '--session', 'a', '--type', 'set_session_name');
    expect([code, stderr]).toEqual([0, '']);
    const [heading, ...rows] = stdout.trim().split('\n');
    expect(heading).toMatch(/^time +phase +lane +type +outcome +session +command$/);
    expect(rows[0]).toMatch(/^\d{4}-\S+Z accepted +work +set_session_name +a +name$/);
    expect(rows[2]).toMatch(/ finished +work +set_session_name +ok, version 1 +a +name$/);
    expect(rows.every((row) => row.includes('set_session_name'))).toBe(true);
    const paged = await run('history', '--session', 'a', '--type', 'set_session_name', '--limit', '2', '--all');
    expect(paged.stdout).toBe(stdout);
  });

  it('takes times as people write them', async () => {
    const { recordedAt } = take('conversation');
    const all = await run('history', '--json', '--all', '--to', new Date(recordedAt).toISOString());
    const none = await run('history', '--json', '--from', String(recordedAt + 1));
    expect(all.stdout.split('\n').length).toBeGreaterThan(50);
    expect([none.code, none.stdout]).toEqual([0, '']);
  });

  it.each<[string[], string]>([
    [['--limit', '501'], '--limit: Must be between 1 and 500'],
    [['--limit', 'x'], '--limit must be a whole number from 0 on'],
    [['--lane', 'read'], '--lane: Must be one of: work, control'],
    [['--from', 'yesterday'], '--from must be a time like 2026-01-31T12:00:00Z, or milliseconds since 1970'],
    [['--from', '2', '--to', '1'], '--from: Must be less than or equal to toTimestamp'],
    [['--cursor', 'x'], '--cursor: Must be a nextCursor of an earlier answer'],
  ])('refuses %j', async (options, line) => {
    take('conversation');
    const { code, stdout, stderr } = await run('history', ...options);
    expect([code, stdout, stderr]).toEqual([2, '', `troupe: ${line}\n`]);
  });
});

describe('troupe export', () => {
  const read = (name: string): Record<string, unknown>[] =>
    readFileSync(place.path(name), 'utf8')
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as Record<string, unknown>);

  it('writes every entry of a window in order, whole', async () => {
    const { recordedAt } = take('killed');
    const entries = await entriesIn(place.path('data'));
    const before = contents();
    const { code, stdout, stderr } = await run('export', '--out', 'all.jsonl');
    expect([code, stderr]).toEqual([0, '']);
    expect(stdout).toMatch(/all\.jsonl: 44 entries\n$/);
    expect(read('all.jsonl').map(({ hash: _hash, ...entry }) => entry)).toEqual(entries);
    await run('export', '--out', 'one.jsonl', '--session', 't');
    const about = entries.filter(
      (entry) => entry.lane === 'session:t' || ('sessionId' in entry && entry.sessionId === 't'),
    );
    expect(read('one.jsonl').map(({ offset }) => offset)).toEqual(about.map(({ offset }) => offset));
    await run('export', '--out', 'late.jsonl', '--from', String(entries[20]!.at), '--to', String(recordedAt));
    expect(read('late.jsonl').map(({ offset }) => offset)).toEqual(
      entries.filter(({ at }) => at >= entries[20]!.at).map(({ offset }) => offset),
    );
    expect(contents()).toEqual(before);
  });

  it('leaves out what the rules of redaction name, whatever the rules were when it was stored', async () => {
    take('conversation');
    const config = place.path('troupe.json');
    writeFileSync(config, JSON.stringify({ redaction: { keys: ['labels'], patterns: ['Wörter'] } }));
    expect((await run('export', '--out', 'clean.jsonl', '--config', config)).code).toBe(0);
    const bytes = readFileSync(place.path('clean.jsonl'), 'utf8');
    expect(bytes).not.toMatch(/Wörter|blue/);
    expect(bytes).toContain('größe');
    expect(readFileSync(place.path('data/journal.db'), 'utf8')).toMatch(/Wörter/);
  });

  it.each<[string[], number, RegExp]>([
    [['--out', 'there'], 2, /^troupe: \S+there is there already: name another file with --out\n$/],
    [
      ['--out', 'no/such/folder'],
      1,
      /^troupe: \S+folder cannot be written \(ENOENT\): name another file with --out\n$/,
    ],
    [['--out', 'x', '--session', 'nobody'], 1, /^troupe: nothing in \S+journal\.db is in that window\n$/],
    [[], 2, /^troupe: required option '--out <file>' not specified/],
  ])('refuses %j, and leaves nothing behind', async (options, exitCode, line) => {
    take('conversation');
    writeFileSync(place.path('there'), 'mine');
    const before = place.files;
    const { code, stderr } = await run('export', ...options);
    expect(code).toBe(exitCode);
    expect(stderr).toMatch(line);
    expect(place.files).toEqual(before);
    expect(readFileSync(place.path('there'), 'utf8')).toBe('mine');
  });
});
