/**
 * A disk that takes no more, for real causes: it is full, it is read-only, writes fail from one moment on. The server stays up,
 * shows nothing that is not stored, says what it can't do, and goes on by itself when there is room again. See
 * docs/DURABILITY.md.
 */
import { chmodSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { Client, type CommandFrame, type Frame } from './client.ts';
import { soundJournal, type Audit } from './journal-audit.ts';
import { ServerProcess, startServer, temporaryFolder } from './server-process.ts';
import { createSmallDisk, limitFiles } from './small-disk.ts';

const sessionId = 's';
const UNAVAILABLE = { success: false, errorCode: 'JOURNAL_UNAVAILABLE' };
const PATIENCE = { timeout: 90_000, interval: 20 };
/** Turns that hang: one for each time that the server may find room again before the disk is really full. */
const HANGING = Array.from({ length: 40 }, (_, number) => `hanging ${number}`);

const rename = (number: number): CommandFrame => ({
  type: 'set_session_name',
  id: `rename ${number}`,
  sessionId,
  name: `name ${number}`,
});

/** Keeps twenty commands under way; after a refusal it goes on more slowly. */
function flood(client: Client): { readonly sent: CommandFrame[]; stop(): void } {
  const sent: CommandFrame[] = [];
  const pauses = new Set<NodeJS.Timeout>();
  let stopped = false;
  const send = (): void => {
    if (stopped) return;
    const frame = rename(sent.length + 1);
    sent.push(frame);
    client.send(frame);
  };
  client.onFrame = ({ type, command, success }) => {
    if (type !== 'response' || command !== 'set_session_name') return;
    if (success === true) return send();
    const pause = setTimeout(() => {
      pauses.delete(pause);
      send();
    }, 50);
    pauses.add(pause);
  };
  const stop = (): void => {
    stopped = true;
    for (const pause of pauses) clearTimeout(pause);
  };
  onTestFinished(stop);
  for (let count = 0; count < 20; count += 1) send();
  return { sent, stop };
}

/** How the newest tries to go on ended, as the server logged it. */
function tries({ log }: ServerProcess): boolean[] {
  return log
    .filter(({ msg }) => msg === 'restarted' || msg === 'a restart failed')
    .map(({ msg }) => msg === 'restarted');
}

const lastBoot = (client: Client): number =>
  client.frames.findLast(({ type }) => type === 'startup_recovery_summary')!.data.boot as number;

/** What anybody was shown is in the journal, and nothing else was said about it. */
function expectStored(left: Audit, ...clients: readonly Client[]): void {
  const shown = clients.flatMap(({ frames }) => frames);
  const answers = shown.filter(({ type, command }) => type === 'response' && command === 'set_session_name');
  const succeeded = answers.filter(({ success }) => success === true);
  expect(succeeded.length).toBeGreaterThan(20);
  expect(succeeded.map(({ id, sessionVersion }) => [id, sessionVersion])).toEqual(
    succeeded.map(({ id }) => [id, left.outcomes.get(String(id))?.sessionVersion]),
  );
  const finished = shown.filter(({ type }) => type === 'command_finished').map(({ data }) => data as Finished);
  const accepted = finished.filter(
    ({ commandType, errorCode }) => changes(commandType) && errorCode !== UNAVAILABLE.errorCode,
  );
  expect(accepted.filter(({ commandId }) => !left.outcomes.has(commandId))).toEqual([]);
  const events = clients.flatMap((client) => client.events(sessionId));
  expect(events.filter(({ epoch, seq }) => !left.events.has(`${epoch!}:${seq!}`))).toEqual([]);
}

interface Finished {
  readonly commandId: string;
  readonly commandType: string;
  readonly errorCode?: string;
}

const changes = (commandType: string): boolean => !/^(get|list|attach|health|verify|ping)/.test(commandType);

describe('a disk that fills under load', () => {
  it(
    'leaves a server that answers, keeps what it accepted, and goes on when there is room',
    { timeout: 240_000 },
    async () => {
      const disk = createSmallDisk();
      console.log(`The disk is ${disk.kind}.`);
      const server = await startServer(disk.dataDir, disk.options);
      const [client, witness, prompter] = await Promise.all([1, 2, 3].map(() => Client.connect(server)));
      await client!.ask({ type: 'create_session', sessionId }, { type: 'attach_session', sessionId });
      await witness!.answer({ type: 'attach_session', sessionId });
      const input = { turns: [[{ hang: true }]] };
      await prompter!.answer({ type: 'create_session', sessionId: 'turn', engine: 'scripted', input });
      prompter!.send(...HANGING.map((id) => ({ type: 'prompt', id, sessionId: 'turn', message: 'go' })));
      await Promise.all(HANGING.map((id) => prompter!.lifecycle('accepted', id)));

      const { sent, stop } = flood(client!);
      await client!.until(({ success, command }) => success === false && command === 'set_session_name');
      // As long as a try finds room again, it is taken as well.
      const filling = setInterval(() => disk.fill(), 5);
      onTestFinished(() => clearInterval(filling));
      await vi.waitFor(() => {
        const newest = tries(server).slice(-4);
        expect([newest.length, newest.includes(true)]).toEqual([4, false]);
      }, PATIENCE);
      clearInterval(filling);
      stop();
      await vi.waitFor(() => expect(client!.answersTo(sent)).toHaveLength(sent.length), PATIENCE);

      const renames = client!.answersTo(sent);
      expect(renames.filter(({ success }) => success === false)).toEqual(
        renames.filter(({ errorCode }) => errorCode === 'JOURNAL_UNAVAILABLE'),
      );
      const version = Math.max(...renames.map(({ sessionVersion = 0 }) => sessionVersion));
      const [state, list, health, renamed, abort] = await witness!.ask(
        { type: 'get_state', sessionId },
        { type: 'list_sessions' },
        { type: 'health_check' },
        { type: 'set_session_name', sessionId, name: 'never' },
        { type: 'abort', sessionId: 'turn' },
      );
      expect(state).toMatchObject({ success: true, stale: true, sessionVersion: version });
      expect(list).toMatchObject({ success: true, stale: true, data: { total: 2 } });
      expect(health).toMatchObject({ data: { healthy: false } });
      expect(renamed).toMatchObject(UNAVAILABLE);
      expect(abort).toMatchObject({ success: true, durable: false });
      const late = await Client.connect(server);
      expect(await late.answer({ type: 'get_messages', sessionId: 'turn' })).toMatchObject({ stale: true });
      expect(server.child.exitCode).toBeNull();

      const [before, from] = [lastBoot(prompter!), prompter!.frames.length];
      disk.makeRoom(server);
      const recovery = await prompter!.until(({ type }) => type === 'startup_recovery_summary', from);
      expect(recovery.data).toMatchObject({ boot: before + 1, recoveredInFlightFailures: 1 });
      const boots = recovery.data.boot as number;
      // Each boot but the first one found the turn that hung then, and took back all that waited behind it.
      const interrupted = HANGING.slice(0, boots - 1);
      expect(interrupted.length).toBeLessThan(HANGING.length);
      for (const id of interrupted) expect(await prompter!.response(id)).toMatchObject({ errorCode: 'INTERRUPTED' });
      await prompter!.lifecycle('started', HANGING[boots - 1]!);
      expect(recovery.data.requeued).toBe(HANGING.length - interrupted.length);
      const after = await witness!.answer({ type: 'get_state', sessionId });
      expect(after).toMatchObject({ sessionVersion: version });
      expect(after).not.toHaveProperty('stale');

      // What was refused may be sent again as it was; what was not is known.
      const accepted = new Set(renames.filter(({ success }) => success).map(({ id }) => id));
      const again = await witness!.askAll(sent);
      expect(again.filter(({ success }) => success !== true)).toEqual([]);
      expect(new Set(again.filter(({ replayed }) => replayed).map(({ id }) => id))).toEqual(accepted);
      expect(await witness!.answer({ type: 'verify_journal' })).toMatchObject({ data: { ok: true, problems: [] } });
      await prompter!.answer({ type: 'delete_session', sessionId: 'turn' });
      expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
      expect(server.stderr).toBe('');
      const left = await soundJournal(disk.dataDir);
      expect(left.boots).toBe(boots);
      expectStored(left, client!, witness!, prompter!);
      expect(HANGING.filter((id) => !left.outcomes.has(id))).toEqual([]);
      expect(left.sessions).toMatchObject([{ sessionId, version: sent.length }]);
    },
  );

  it('refuses the start, in one line, and loses nothing', { timeout: 120_000 }, async () => {
    const dataDir = temporaryFolder();
    const first = await startServer(dataDir);
    const client = await Client.connect(first);
    await client.ask({ type: 'create_session', sessionId, engine: 'scripted', input: { turns: [[{ hang: true }]] } });
    // One after the other, so that each makes the write-ahead log longer.
    for (let number = 1; number <= 40; number += 1) {
      await client.answer({ type: 'set_session_name', sessionId, name: `name ${number}` });
    }
    await client.ask({ type: 'prompt', id: 'cut', sessionId, message: 'go', respond: 'accepted' });
    await first.kill('SIGKILL');
    const { entryCount } = await soundJournal(dataDir);

    // Not even room to open it; and room to read it, but none to write what was found.
    const unopened = new ServerProcess(dataDir, { fileKibMax: 4 });
    expect(await unopened.exited).toEqual({ code: 4, signal: null });
    expect(unopened.stdout).toBe('');
    expect(unopened.stderr).toMatch(/^troupe: \S+\/journal\.db cannot be read or written .*--data-dir\n$/);
    const unwritten = new ServerProcess(dataDir, { fileKibMax: 64 });
    expect(await unwritten.exited).toEqual({ code: 4, signal: null });
    expect(unwritten.stdout).toBe('');
    expect(unwritten.stderr).toMatch(/^troupe: \S+\/journal\.db cannot be written: .* then start again\n$/);
    expect(await soundJournal(dataDir)).toMatchObject({ entryCount, boots: 1, started: ['cut'] });

    const next = await Client.connect(await startServer(dataDir));
    const [recovery, state] = await next.ask({ type: 'get_startup_recovery' }, { type: 'get_state', sessionId });
    expect(recovery!.data).toMatchObject({ boot: 2, recoveredInFlightFailures: 1 });
    expect(state).toMatchObject({ sessionVersion: 40, data: { sessionName: 'name 40' } });
  });
});

/** A turn `hanging`, work `waiting` behind it, and a session `s` that somebody renames. */
async function busyServer(dataDir: string, obeysModes = false) {
  const server = await startServer(dataDir, { obeysModes });
  const [client, prompter] = [await Client.connect(server), await Client.connect(server)];
  await client.ask({ type: 'create_session', sessionId }, { type: 'attach_session', sessionId });
  const input = { turns: [[{ hang: true }], [{ text: 'done' }]] };
  await prompter.ask(
    { type: 'create_session', sessionId: 'turn', engine: 'scripted', input },
    { type: 'attach_session', sessionId: 'turn' },
  );
  const prompts = ['hanging', 'waiting'].map((id) => ({ type: 'prompt', id, sessionId: 'turn', message: 'go' }));
  prompter.send(...prompts);
  await Promise.all([prompter.lifecycle('started', 'hanging'), prompter.lifecycle('accepted', 'waiting')]);
  return { server, client, prompter };
}

type Busy = Awaited<ReturnType<typeof busyServer>>;

/** The hanging turn has ended, what waited has run, and whoever was there was told of the recovery. */
async function expectRecovered({ server, client, prompter }: Busy, dataDir: string): Promise<void> {
  expect(await prompter.response('hanging')).toMatchObject({ success: false, errorCode: 'INTERRUPTED' });
  expect(await prompter.response('waiting')).toMatchObject({ success: true });
  const told = prompter.frames.filter(({ type }) => type === 'startup_recovery_summary');
  expect(told.map(({ data }) => data.boot as number)).toEqual([1, 2]);
  expect(told[1]!.data).toMatchObject({ recoveredInFlightFailures: 1, requeued: 1 });
  const seqs = prompter.events('turn').map(({ seq }) => seq);
  expect(seqs).toEqual(seqs.map((_, index) => index + 1));
  expect(await client.answer({ type: 'health_check' })).toMatchObject({ data: { healthy: true } });
  expect(await client.answer({ type: 'verify_journal' })).toMatchObject({ data: { ok: true, problems: [] } });
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  const left = await soundJournal(dataDir);
  expect(left.boots).toBe(2);
  expectStored(left, client, prompter);
}

describe('writes that fail from one moment on', () => {
  it('end the turn and nothing else, and go on by themselves', { timeout: 120_000 }, async () => {
    const dataDir = temporaryFolder();
    const busy = await busyServer(dataDir);
    const { server, client, prompter } = busy;
    const { sent, stop } = flood(client);
    await vi.waitFor(() => expect(client.answersTo(sent).length).toBeGreaterThan(50), PATIENCE);
    limitFiles(server, 0);
    await client.until(({ errorCode }) => errorCode === 'JOURNAL_UNAVAILABLE');
    stop();
    const [state, abort, refused, old] = await prompter.ask(
      { type: 'get_state', sessionId: 'turn' },
      { type: 'abort', sessionId: 'turn' },
      { type: 'prompt', sessionId: 'turn', message: 'go' },
      rename(1),
    );
    expect(state).toMatchObject({ success: true, stale: true });
    expect(abort).toMatchObject({ success: true, durable: false });
    expect(refused).toMatchObject(UNAVAILABLE);
    expect(old).toMatchObject({ success: true, replayed: true, sessionVersion: 1 });
    expect(await statesOf(prompter, 'hanging', 'waiting')).toEqual([undefined, undefined]);
    await vi.waitFor(() => expect(tries(server).length).toBeGreaterThan(2), PATIENCE);
    expect(tries(server)).not.toContain(true);
    limitFiles(server, 'unlimited');
    await prompter.until(({ type, data }) => type === 'startup_recovery_summary' && data.boot === 2);
    expect(client.answersTo(sent)).toHaveLength(sent.length);
    await expectRecovered(busy, dataDir);
  });
});

/** The answers that are there already. */
async function statesOf(client: Client, ...ids: readonly string[]): Promise<(Frame | undefined)[]> {
  await client.answer({ type: 'ping' });
  return ids.map((id) => client.frames.find((frame) => frame.type === 'response' && frame.id === id));
}

/** Takes the right to write from a directory and all that is in it; gives it back. */
function setReadOnly(dataDir: string, readOnly: boolean): void {
  const files = readdirSync(dataDir).map((name) => join(dataDir, name));
  for (const path of files) chmodSync(path, readOnly ? 0o400 : 0o600);
  chmodSync(dataDir, readOnly ? 0o500 : 0o700);
}

describe('a directory that becomes read-only', () => {
  it('does not disturb a server that has its files open', { timeout: 120_000 }, async () => {
    const dataDir = temporaryFolder();
    const { server, client } = await busyServer(dataDir, true);
    onTestFinished(() => setReadOnly(dataDir, false));
    setReadOnly(dataDir, true);
    const names = Array.from({ length: 100 }, (_, number) => rename(number + 1));
    const answers = await client.askAll(names);
    expect(answers.filter(({ success }) => success !== true)).toEqual([]);
    expect(await client.answer({ type: 'health_check' })).toMatchObject({ data: { healthy: true } });
    await server.kill('SIGKILL');
    setReadOnly(dataDir, false);
    const left = await soundJournal(dataDir);
    expect(left.sessions[0]).toMatchObject({ sessionId, version: 100 });
    expectStored(left, client);
  });

  it(
    'keeps a server that has to open them again waiting, and is noticed when it ends',
    { timeout: 120_000 },
    async () => {
      const dataDir = temporaryFolder();
      const busy = await busyServer(dataDir, true);
      const { server, client } = busy;
      onTestFinished(() => setReadOnly(dataDir, false));
      const names = Array.from({ length: 30 }, (_, number) => rename(number + 1));
      await client.askAll(names);
      setReadOnly(dataDir, true);
      limitFiles(server, 0);
      expect(await client.answer({ type: 'set_session_name', sessionId, name: 'x' })).toMatchObject(UNAVAILABLE);
      limitFiles(server, 'unlimited');
      await vi.waitFor(() => expect(tries(server).length).toBeGreaterThan(2), PATIENCE);
      expect(tries(server)).not.toContain(true);
      expect(await client.answer({ type: 'get_state', sessionId })).toMatchObject({ stale: true, sessionVersion: 30 });
      setReadOnly(dataDir, false);
      await expectRecovered(busy, dataDir);
    },
  );

  it('refuses the start, in one line, and changes nothing', { timeout: 120_000 }, async () => {
    const dataDir = temporaryFolder();
    const { server } = await busyServer(dataDir, true);
    await server.kill('SIGKILL');
    const { entryCount } = await soundJournal(dataDir);
    onTestFinished(() => setReadOnly(dataDir, false));
    setReadOnly(dataDir, true);
    const refused = new ServerProcess(dataDir, { obeysModes: true });
    expect(await refused.exited).toEqual({ code: 4, signal: null });
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toMatch(/^troupe: \S+ (is not writable|cannot be made there): .*--data-dir\n$/);
    setReadOnly(dataDir, false);
    expect(await soundJournal(dataDir)).toMatchObject({ entryCount, boots: 1, started: ['hanging'] });
  });
});
