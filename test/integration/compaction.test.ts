/**
 * Compaction and retention of a real server: what went is told as gone wherever one may ask for it, and a process that is killed in
 * the middle of it leaves a journal that verifies, knows every command, and is compacted by the next one.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { expect, it, vi } from 'vitest';
import { restoreBackup } from '../../src/journal/sqlite-restore.ts';
import { verifyDirectory } from '../../src/journal/sqlite-verify.ts';
import { Client, type CommandFrame } from './client.ts';
import { startServer, temporaryFolder } from './server-process.ts';

vi.setConfig({ testTimeout: 180_000 });

const SECRET = 'xyzzy-plugh';
const RENAMES = 12_000;
const AT_ONCE = 90;
const DROPPED_AT_ONCE = 1_000;

const config = { idempotency: { ttlMs: 1 } };
const verified = (dataDir: string) => verifyDirectory(dataDir, { idsMax: 100_000 });

const filesWith = (dataDir: string, text: string): string[] =>
  readdirSync(dataDir, { withFileTypes: true })
    .filter((entry) => entry.isFile() && readFileSync(join(dataDir, entry.name)).includes(text))
    .map(({ name }) => name);

function rename(index: number): CommandFrame {
  return { type: 'set_session_name', id: `r${index}`, sessionId: 's', name: `${SECRET} ${index}` };
}

async function said(client: Client, renames: number): Promise<void> {
  await client.ask({ type: 'create_session', id: 'create', sessionId: 's' });
  for (let from = 1; from <= renames; from += AT_ONCE) {
    const count = Math.min(AT_ONCE, renames - from + 1);
    const frames = await client.ask(...Array.from({ length: count }, (_, index) => rename(from + index)));
    expect(frames.every(({ success }) => success === true)).toBe(true);
  }
}

/** Of a lane: how many of its entries were dropped. */
function droppedOf(dataDir: string): number {
  const database = new Database(join(dataDir, 'journal.db'), { readonly: true });
  try {
    return database.prepare<[], number>('SELECT coalesce(sum(dropped_lane_seq), 0) FROM anchors').pluck().get() ?? 0;
  } finally {
    database.close();
  }
}

it('a process that is killed with -9 in the middle of dropping leaves a sound journal, and the next one completes it', async () => {
  const dataDir = temporaryFolder();
  let server = await startServer(dataDir, { config });
  let client = await Client.connect(server);
  await said(client, RENAMES);
  const [before, backup] = await client.ask({ type: 'get_state', sessionId: 's' }, { type: 'backup' });
  expect(backup).toMatchObject({ success: true });
  client.send({ type: 'compact_journal', id: 'cut' });
  await vi.waitFor(() => expect(droppedOf(dataDir)).toBeGreaterThan(0), { timeout: 60_000, interval: 1 });
  await server.kill('SIGKILL');
  const report = verified(dataDir);
  expect(report).toMatchObject({ ok: true, problems: [], anchors: 1, sessions: 1 });
  expect(report.droppedEntries % DROPPED_AT_ONCE, 'a slice is dropped whole or not at all').toBe(0);
  expect(report.droppedEntries, 'it was in the middle').toBeLessThan(RENAMES);
  expect(report.remains).toBe(report.droppedEntries);

  server = await startServer(dataDir, { config });
  client = await Client.connect(server);
  const lastActivityAt = (frame: typeof before) => ({ ...frame!.data, lastActivityAt: undefined });
  const [after] = await client.ask({ type: 'get_state', sessionId: 's' });
  expect(lastActivityAt(after)).toEqual(lastActivityAt(before));
  for (const index of [1, report.droppedEntries - 1, report.droppedEntries + 1, RENAMES]) {
    const [again] = await client.ask(rename(index));
    expect(again, `rename ${index}`).toMatchObject({ success: true, replayed: true, sessionVersion: index });
  }
  const [done] = await client.ask({ type: 'compact_journal', id: 'again' });
  expect(done).toMatchObject({ success: true, data: { lanes: 1 } });
  expect(done!.data.entries + report.droppedEntries).toBeGreaterThan(RENAMES);
  const [verifiedLive] = await client.ask({ type: 'verify_journal' });
  expect(verifiedLive).toMatchObject({ success: true, data: { ok: true } });
  const copy = (await client.answer({ type: 'backup' })).data.path as string;
  await server.kill('SIGKILL');
  expect(verified(dataDir)).toMatchObject({ ok: true, problems: [], sessions: 1 });

  // What is brought back from a backup of what is left is that session, in another epoch, and knows its commands.
  const restored = join(temporaryFolder(), 'restored');
  restoreBackup(copy, restored, { idsMax: 100_000, at: Date.now(), epoch: () => 'restored' });
  server = await startServer(restored, { config });
  client = await Client.connect(server);
  const [there, attached, known] = await client.ask(
    { type: 'get_state', sessionId: 's' },
    { type: 'attach_session', sessionId: 's' },
    rename(2),
  );
  expect(there!.data).toMatchObject({ sessionName: `${SECRET} ${RENAMES}`, sessionVersion: RENAMES });
  expect(attached!.data).toMatchObject({ epoch: 'restored', watermark: RENAMES });
  expect(known).toMatchObject({ success: true, replayed: true, sessionVersion: 2, details: { redacted: true } });
  await client.ask({ type: 'set_session_name', sessionId: 's', name: 'goes on' }, { type: 'backup' });
  const last = await client.answer({ type: 'compact_journal' });
  expect(last).toMatchObject({ success: true, data: { lanes: 1 } });
  await server.kill('SIGTERM');
  expect(verified(restored)).toMatchObject({ ok: true, problems: [], sessions: 1 });
});

it('what was dropped is CURSOR_EXPIRED, 410 or a gap, with the first event that there is, and time goes on from there', async () => {
  const dataDir = temporaryFolder();
  const server = await startServer(dataDir, { config });
  const client = await Client.connect(server);
  await said(client, 8);
  const [state, backup] = await client.ask({ type: 'attach_session', sessionId: 's' }, { type: 'backup' });
  expect(backup).toMatchObject({ success: true });
  const { epoch } = state!.data as { epoch: string };
  expect(await client.answer({ type: 'compact_journal' })).toMatchObject({ success: true, data: { lanes: 1 } });
  await client.ask(rename(9), rename(10));

  const expired = { errorCode: 'CURSOR_EXPIRED', details: { firstSeq: 9 } };
  for (const after of ['start', { epoch, seq: 1 }, { epoch, seq: 7 }])
    expect(await client.answer({ type: 'get_session_events', sessionId: 's', after })).toMatchObject(expired);
  for (const seq of [1, 7])
    expect(await client.answer({ type: 'get_session_snapshot', sessionId: 's', seq })).toMatchObject({
      errorCode: 'CURSOR_EXPIRED',
      details: { firstSeq: 8 },
    });
  expect(await client.answer({ type: 'get_session_snapshot', sessionId: 's', seq: 8 })).toMatchObject({
    success: true,
  });
  const behind = await client.answer({ type: 'get_session_events', sessionId: 's', after: { epoch, seq: 8 } });
  expect(behind.data.events.map(({ seq }: { seq: number }) => seq)).toEqual([9, 10]);

  const viewer = await Client.connect(server);
  await viewer.answer({ type: 'attach_session', sessionId: 's', after: { epoch, seq: 2 } });
  await vi.waitFor(() => expect(viewer.frames.some(({ type }) => type === 'session_synced')).toBe(true));
  const seen = viewer.frames.filter(({ type }) => ['session_gap', 'event', 'session_synced'].includes(type));
  expect(seen.map((frame) => frame.data ?? { seq: frame['seq'] as number })).toEqual([
    { sessionId: 's', epoch, fromSeq: 3, toSeq: 8, reason: 'retention' },
    { seq: 9 },
    { seq: 10 },
    { sessionId: 's', epoch, seq: 10 },
  ]);

  const base = (await server.url()).replace(/^ws/, 'http').replace(/\/$/, '');
  for (const query of ['after=start&wait=1', `after=${epoch}:2&wait=1`]) {
    const response = await fetch(`${base}/v1/sessions/s/events?${query}`);
    expect(response.status).toBe(410);
    expect(await response.json()).toMatchObject(expired);
  }
  const stream = await fetch(`${base}/v1/sessions/s/events`, { headers: { 'Last-Event-ID': `${epoch}:2` } });
  expect(stream.status).toBe(410);
  expect(await stream.json()).toMatchObject(expired);

  const history = await client.answer({ type: 'get_command_history', sessionId: 's' });
  const told = (history.data.entries as { commandId: string }[]).map(({ commandId }) => commandId);
  expect(told).toEqual(expect.arrayContaining(['r9', 'r10']));
  expect(told).not.toContain('r8');
  await server.kill('SIGTERM');
});

it('journal.retention is applied at the start: what was said in a session that is over is in no file, and its commands are known', async () => {
  const dataDir = temporaryFolder();
  const first = await startServer(dataDir);
  const client = await Client.connect(first);
  await said(client, 20);
  await client.ask({ type: 'create_session', sessionId: 'stays', name: 'it stays' });
  expect(await client.answer({ type: 'delete_session', id: 'over', sessionId: 's' })).toMatchObject({ success: true });
  await first.kill('SIGTERM');
  expect(filesWith(dataDir, SECRET)).not.toEqual([]);
  const retention = { ...config, journal: { retention: { maxAgeMs: 1 } } };
  const second = await startServer(dataDir, { config: retention });
  const again = await Client.connect(second);
  await vi.waitFor(() => expect(filesWith(dataDir, SECRET)).toEqual([]), { timeout: 30_000 });
  const [replay, over, stays] = await again.ask(
    rename(3),
    { type: 'delete_session', id: 'over', sessionId: 's' },
    { type: 'get_state', sessionId: 'stays' },
  );
  expect(replay).toMatchObject({ success: true, replayed: true, sessionVersion: 3, details: { redacted: true } });
  expect(over).toMatchObject({ success: true, replayed: true, details: { redacted: true } });
  expect(stays).toMatchObject({ success: true, data: { sessionName: 'it stays' } });
  await again.ask({ type: 'create_session', sessionId: 's', name: 'anew' });
  const { housekeeping } = (await again.answer({ type: 'get_metrics' })).data;
  expect(housekeeping[0]).toMatchObject({ task: 'retention', trigger: 'schedule', ok: true });
  await second.kill('SIGTERM');
  expect(verified(dataDir)).toMatchObject({ ok: true, problems: [], sessions: 2 });
  expect(filesWith(dataDir, SECRET)).toEqual([]);
});
