/**
 * The rules of redaction, against the raw bytes: a secret is planted wherever a client or an engine can put one, and looked for
 * in every file of the data directory and in the log, live, after a stop, after kill -9, and in what is exported.
 */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import type { Json } from '../../actors/message.ts';
import { Workplace } from '../cli/troupe-process.ts';
import { Client } from '../integration/client.ts';
import { startServer, temporaryFolder } from '../integration/server-process.ts';

const rules = { keys: ['password', 'apiKey'], patterns: ['sk-live-[a-z0-9]+'] };
const config = { redaction: rules };
/** Each with a number of its own, so that a leak names its place. */
let planted = 0;
const secret = (): string => `sk-live-${(planted += 1)}plugh`;
/** Something that only its key gives away. */
const named = (): string => `hunter-${(planted += 1)}-xyzzy`;
const LEAK = /sk-live-\d+plugh|hunter-\d+-xyzzy/g;

function leaksIn(dataDir: string): string[] {
  return readdirSync(dataDir).flatMap((name) => {
    const text = readFileSync(join(dataDir, name)).toString('latin1');
    return [...new Set(text.match(LEAK) ?? [])].map((leak) => `${name}: ${leak}`);
  });
}

it('Redaction policy enforced on persistence + export', { timeout: 120_000 }, async () => {
  const dataDir = temporaryFolder();
  const server = await startServer(dataDir, { config });
  const client = await Client.connect(server);
  const steps: Json[] = [
    { text: `the answer is ${secret()}` },
    {
      tool: { name: 'read', args: { path: secret(), password: named() }, result: JSON.stringify({ apiKey: named() }) },
    },
    { fail: `provider said ${secret()}`, kind: 'provider' },
  ];
  const scripted = { engine: 'scripted', input: { turns: [steps, [{ text: 'fine' }, { hang: true }]] } };
  const answers = await client.ask(
    {
      type: 'create_session',
      sessionId: 'a',
      name: secret(),
      cwd: `/tmp/${secret()}`,
      labels: { [secret()]: secret(), password: named() },
    },
    { type: 'create_session', sessionId: 'b', ...scripted },
    { type: 'create_session', sessionId: 'refused', engine: 'scripted', input: { turns: secret() } },
    {
      type: 'set_session_name',
      sessionId: 'a',
      name: `to ${secret()}`,
      password: named(),
      nested: { deep: [{ apiKey: named() }] },
    },
    { type: 'set_session_name', sessionId: 'nowhere', name: secret(), traceparent: secret() },
    { type: 'prompt', sessionId: 'a', message: `use ${secret()}`, images: [secret()] },
    { type: 'prompt', sessionId: 'a', message: JSON.stringify({ password: named() }) },
    { type: 'prompt', sessionId: 'b', message: secret() },
    { type: 'follow_up', sessionId: 'b', message: secret() },
  );
  expect(answers.map(({ success }) => success)).toEqual([true, true, false, true, false, true, true, false, true]);
  // What ran is what was asked.
  const [live] = await client.ask({ type: 'get_messages', sessionId: 'a' });
  expect(JSON.stringify(live!.data)).toMatch(/use sk-live-\d+plugh/);
  expect(leaksIn(dataDir)).toEqual([]);

  client.send(
    { type: 'prompt', id: 'hangs', sessionId: 'b', message: `${secret()} hangs` },
    { type: 'steer', id: 'steered', sessionId: 'b', message: secret() },
    { type: 'prompt', id: 'waits', sessionId: 'b', message: secret() },
  );
  await client.lifecycle('accepted', 'waits');
  await client.ask({ type: 'get_state', sessionId: 'b' });
  await server.kill('SIGKILL');
  expect(leaksIn(dataDir)).toEqual([]);

  const second = await startServer(dataDir, { config });
  const again = await Client.connect(second);
  const [recovery] = await again.ask({ type: 'get_startup_recovery' });
  expect(recovery!.data.recoveredInFlight).toMatchObject([
    { commandId: 'hangs', errorCode: 'INTERRUPTED' },
    { commandId: 'waits', errorCode: 'INTERRUPTED' },
  ]);
  const [after] = await again.ask({ type: 'get_messages', sessionId: 'a' });
  expect(JSON.stringify(after!.data)).toContain('use [redacted]');
  await again.ask({ type: 'verify_journal' });
  await second.kill('SIGTERM');
  expect(leaksIn(dataDir)).toEqual([]);
  for (const each of [server, second]) expect(`${each.stdout}${each.stderr}`.match(LEAK)).toBeNull();

  // A journal of a time without rules: what is exported now is redacted by the rules of now.
  const older = temporaryFolder();
  const plain = await startServer(older);
  const unruled = await Client.connect(plain);
  await unruled.ask({ type: 'create_session', sessionId: 'a', name: secret(), labels: { password: named() } });
  await plain.kill('SIGTERM');
  expect(leaksIn(older), 'without rules it is stored as it was said').not.toEqual([]);
  const place = new Workplace();
  try {
    writeFileSync(place.path('troupe.json'), JSON.stringify(config));
    for (const [name, folder] of [
      ['ruled', dataDir],
      ['older', older],
    ] as const) {
      const out = place.path(`${name}.jsonl`);
      const args = ['export', '--out', out, '--data-dir', folder, '--config', 'troupe.json'];
      expect(await place.end(args)).toMatchObject({ code: 0, stderr: '' });
      const exported = readFileSync(out, 'utf8');
      expect(exported.trim().split('\n').length).toBeGreaterThan(2);
      expect(exported.match(LEAK)).toBeNull();
      expect(exported).toContain('[redacted]');
    }
  } finally {
    await place.clear();
  }
});
