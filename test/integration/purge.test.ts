/** A purge on a real server: not a byte of the content is left in any file, also when the process is killed in the middle of it. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it, vi } from 'vitest';
import { verifyDirectory } from '../../src/journal/sqlite-verify.ts';
import { Client } from './client.ts';
import { startServer, temporaryFolder } from './server-process.ts';

vi.setConfig({ testTimeout: 120_000 });

const SECRET = 'xyzzy-plugh';
const LONG = SECRET.repeat(500);
/** Purged in several pages: so there is a middle. */
const RENAMES = 4_500;

function filesWithSecret(dataDir: string): string[] {
  return readdirSync(dataDir).filter((name) => readFileSync(join(dataDir, name)).includes(SECRET));
}

async function say(client: Client): Promise<void> {
  await client.ask(
    { type: 'create_session', sessionId: 's', name: SECRET, cwd: `/tmp/${SECRET}`, labels: { [SECRET]: SECRET } },
    { type: 'create_session', sessionId: 'other' },
    { type: 'create_session', id: 'refused', sessionId: 's', name: SECRET },
    { type: 'set_session_name', sessionId: 'other', name: 'stays' },
  );
  for (let from = 0; from < RENAMES; from += 90) {
    const renames = Array.from({ length: 90 }, () => ({ type: 'set_session_name', sessionId: 's', name: SECRET }));
    await client.ask(...renames);
  }
}

it('Purge removes the content of a session and keeps ids, outcomes and chain, as raw bytes', async () => {
  const dataDir = temporaryFolder();
  const server = await startServer(dataDir);
  const client = await Client.connect(server);
  await say(client);
  const [prompted] = await client.ask({ type: 'prompt', id: 'p', sessionId: 's', message: LONG });
  expect(prompted).toMatchObject({ success: true });
  expect(filesWithSecret(dataDir)).not.toEqual([]);
  const [purged] = await client.ask({ type: 'purge_session', sessionId: 's' });
  expect(purged).toMatchObject({ success: true, data: { sessionId: 's', erased: true } });
  expect(purged!.data.entries).toBeGreaterThan(RENAMES);
  expect(filesWithSecret(dataDir)).toEqual([]);
  const [other] = await client.ask({ type: 'get_state', sessionId: 'other' });
  expect(other).toMatchObject({ success: true, data: { sessionName: 'stays' } });
  await server.kill('SIGTERM');
  expect(filesWithSecret(dataDir)).toEqual([]);
  expect(verifyDirectory(dataDir, { idsMax: 10_000 })).toMatchObject({ ok: true, problems: [], sessions: 1 });
  const second = await startServer(dataDir);
  const again = await Client.connect(second);
  const create = { type: 'create_session', id: 'refused', sessionId: 's', name: SECRET };
  const [prompt, refused] = await again.ask({ type: 'prompt', id: 'p', sessionId: 's', message: LONG }, create);
  expect(prompt).toMatchObject({ success: true, replayed: true });
  expect(refused).toMatchObject({ errorCode: 'SESSION_EXISTS', replayed: true, details: { redacted: true } });
  await second.kill('SIGTERM');
  expect(filesWithSecret(dataDir)).toEqual([]);
  expect(`${server.stdout}${server.stderr}${second.stdout}${second.stderr}`).not.toContain(SECRET);
});

it('a purge that was accepted is done by the next process when kill -9 comes in the middle', async () => {
  let cut = 0;
  for (const afterMs of [0, 20, 60]) {
    const dataDir = temporaryFolder();
    const server = await startServer(dataDir);
    const client = await Client.connect(server);
    await say(client);
    client.send({ type: 'purge_session', id: 'purge', sessionId: 's' });
    await client.lifecycle('accepted', 'purge');
    await new Promise((resolve) => setTimeout(resolve, afterMs));
    await server.kill('SIGKILL');
    if (filesWithSecret(dataDir).length > 0) cut += 1;
    const second = await startServer(dataDir);
    const again = await Client.connect(second);
    const [purged] = await again.ask({ type: 'purge_session', id: 'purge', sessionId: 's' });
    expect(purged).toMatchObject({ success: true, replayed: true, data: { sessionId: 's', erased: true } });
    expect(filesWithSecret(dataDir)).toEqual([]);
    await second.kill('SIGTERM');
    expect(verifyDirectory(dataDir, { idsMax: 10_000 })).toMatchObject({ ok: true, problems: [], sessions: 1 });
  }
  expect(cut, 'the process was killed before the purge was over at least once').toBeGreaterThan(0);
});
