/**
 * A server that is killed with -9 again and again, under load and while it boots, on one data directory. What was shown
 * stays, what was accepted gets one outcome, and nothing is done twice.
 */
import { watch } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { Client, type CommandFrame } from './client.ts';
import { soundJournal, type Audit } from './journal-audit.ts';
import { isEarly, Load, outcomeOf, type Sent } from './load.ts';
import { Random } from './random.ts';
import { ServerProcess, startServer, temporaryFolder } from './server-process.ts';

const SEED = Number(process.env['KILL_9_SEED'] ?? Date.now() % 1_000_000);
const ROUNDS = 4;
const CLIENTS = 4;
/** No deadline passes while the test runs, however slow the machine is: what a boot finds depends on the strikes alone. */
const config = {
  timeouts: { shortMs: 600_000, dependencyMs: 600_000 },
  // Boots begin with checkpoints, and sessions are in and out of memory all the time.
  journal: { checkpointEvery: 500, snapshotEvery: 16 },
  passivation: { idleMs: 1_000 },
};

describe('a server that is killed with -9', () => {
  it('Forced kill during active commands recovers without protocol corruption', { timeout: 300_000 }, async () => {
    console.log(`kill -9 with seed ${SEED} (the same again: KILL_9_SEED=${SEED})`);
    const random = new Random(SEED);
    const load = new Load(random);
    const dataDir = temporaryFolder();
    const total = { interrupted: 0, requeued: 0, ranNow: 0, replayed: 0, keyed: 0 };

    let server = await startServer(dataDir, { config });
    for (let round = 1; round <= ROUNDS; round += 1) {
      const clients = await Promise.all(Array.from({ length: CLIENTS }, () => Client.connect(server)));
      const victim = server;
      await load.run(clients, random.between(200, 6_000), () => victim.child.kill('SIGKILL'));
      expect(await victim.exited).toEqual({ code: null, signal: 'SIGKILL' });
      expect(load.problems).toEqual([]);
      let left = await soundJournal(dataDir);
      expectDurable(load, left);
      if (round === 2) await expectSameRecovery(dataDir);
      if (round >= 3) {
        await (round === 3 ? killDuringRecovery : killWhenListening)(dataDir);
        left = await soundJournal(dataDir);
      }
      server = await startServer(dataDir, { config });
      const client = await Client.connect(server);
      const recovery = await expectRecovered(client, left);
      total.interrupted += recovery.interrupted;
      total.requeued += recovery.requeued;
      const again = await sendAllAgain(client, load, left);
      total.ranNow += again.ranNow;
      total.replayed += again.replayed;
      total.keyed += await expectConflicts(client, load, left, random);
      expectVersions(load);
    }
    // Else nothing was proved: the strikes hit an idle server.
    expect(total.interrupted + total.requeued).toBeGreaterThan(0);
    expect(total.replayed).toBeGreaterThan(100);
    expect(total.keyed).toBeGreaterThan(0);

    const before = await everySession(await Client.connect(server));
    await server.kill('SIGKILL');
    const left = await soundJournal(dataDir);
    expect(inFlightOf(left)).toEqual([]);
    expect(before.map(({ state }) => state.data.sessionId as string)).toEqual(
      left.sessions.map(({ sessionId }) => sessionId),
    );
    expect(new Set([...left.outcomes.keys()].map((id) => /^anon:\d+/.exec(id)?.[0])).size).toBeGreaterThan(2);

    // The undisturbed boot: everything is there, without any command, and nothing is left to be decided.
    server = await startServer(dataDir, { config });
    const client = await Client.connect(server);
    await expectRecovered(client, left);
    const after = await everySession(client);
    expect(after).toEqual(before);
    for (const [index, { state, messages }] of after.entries()) {
      const { name, version, messages: folded } = left.sessions[index]!;
      expect([state.data.sessionName ?? null, state.data.sessionVersion]).toEqual([name, version]);
      expect(messages.data.messages).toEqual(folded);
    }
    expect((await sendAllAgain(client, load, left)).ranNow).toBe(0);
    expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  });
});

const inFlightOf = ({ started, waitingControl, waitingWork }: Audit): string[] => [
  ...started,
  ...waitingControl,
  ...waitingWork,
];

const nameOf = ({ id, frame }: Sent): string => `${id} ${frame.type}`;

/** Whatever a client was shown is on the disk of the server that was killed in that moment. */
function expectDurable(load: Load, left: Audit): void {
  const known = new Set([...left.outcomes.keys(), ...inFlightOf(left)]);
  const lost = load.sent.filter(({ id, shown, journalled }) => shown && journalled && !known.has(id));
  expect(lost.map(nameOf)).toEqual([]);
  const told = load.sent.filter(({ outcome, finished }) => outcome !== undefined || finished !== undefined);
  const forgotten = told.filter(({ id, journalled }) => journalled && !left.outcomes.has(id));
  expect(forgotten.map(nameOf)).toEqual([]);
  const events = [...load.shownEvents].filter(([place, type]) => left.events.get(place) !== type);
  expect(events).toEqual([]);
}

/** Strikes at the first thing that the boot writes: what it found in flight. */
async function killDuringRecovery(dataDir: string): Promise<void> {
  const watcher = watch(dataDir);
  const server = new ServerProcess(dataDir, { config });
  const listening = server.line('listening').catch(() => undefined);
  const written = new Promise<void>((resolve) => {
    watcher.on('change', (_, name) => {
      if (name === 'journal.db-wal') resolve();
    });
  });
  await Promise.race([written, listening]);
  watcher.close();
  expect(await server.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
}

/** Strikes while the work that was taken back begins to run. */
async function killWhenListening(dataDir: string): Promise<void> {
  const server = await startServer(dataDir, { config });
  expect(await server.kill('SIGKILL')).toEqual({ code: null, signal: 'SIGKILL' });
}

/** What a boot makes of a directory depends on nothing but the directory. */
async function expectSameRecovery(dataDir: string): Promise<void> {
  const recoveries = [temporaryFolder(dataDir), temporaryFolder(dataDir)].map(async (copy) => {
    const server = await startServer(copy, { config });
    const { data } = await (await Client.connect(server)).answer({ type: 'get_startup_recovery' });
    const { startedAt, tookMs, journalPath, ...recovery } = data as Record<string, unknown>;
    await server.kill('SIGKILL');
    return recovery;
  });
  const [first, second] = await Promise.all(recoveries);
  expect(second).toEqual(first);
}

/** The boot counts what was found and ends what cannot go on; sessions are there before any command changed anything. */
async function expectRecovered(client: Client, left: Audit): Promise<{ interrupted: number; requeued: number }> {
  const [recovery, list] = await client.ask({ type: 'get_startup_recovery' }, { type: 'list_sessions' });
  const ended = [...left.started, ...left.waitingControl];
  expect(recovery!.data).toMatchObject({
    boot: left.boots + 1,
    durable: true,
    entriesScanned: expect.any(Number),
    recoveredOutcomes: left.outcomes.size,
    recoveredSessions: left.sessions.length,
    recoveredInFlightFailures: ended.length,
    requeued: left.waitingWork.length,
    malformedEntries: 0,
  });
  const { recoveredInFlight } = recovery!.data as { recoveredInFlight: { commandId: string; errorCode: string }[] };
  expect(recoveredInFlight.map(({ commandId, errorCode }) => [commandId, errorCode])).toEqual(
    ended.slice(0, 100).map((id) => [id, left.exhausted.includes(id) ? 'COMMAND_QUARANTINED' : 'INTERRUPTED']),
  );
  const listed = (list!.data.sessions as { sessionId: string }[]).map(({ sessionId }) => sessionId);
  expect(listed.slice(0, left.sessions.length)).toEqual(left.sessions.map(({ sessionId }) => sessionId));
  for (const { sessionId, version, messages } of left.sessions) {
    const [state, conversation] = await client.ask(
      { type: 'get_state', sessionId },
      { type: 'get_messages', sessionId },
    );
    // Work that was taken back may have added to it, and a later create_session may have replaced nothing.
    expect(state!.sessionVersion).toBeGreaterThanOrEqual(version);
    expect((conversation!.data.messages as unknown[]).slice(0, messages.length)).toEqual(messages);
  }
  return { interrupted: ended.length, requeued: left.waitingWork.length };
}

/** Every command once more, under its id: known ones are answered with what became of them, the others run now. */
async function sendAllAgain(client: Client, load: Load, left: Audit): Promise<{ ranNow: number; replayed: number }> {
  const count = { ranNow: 0, replayed: 0 };
  const known = new Set([...left.outcomes.keys(), ...inFlightOf(left)]);
  const wrong: unknown[] = [];
  const all = load.sent.filter(({ journalled }) => journalled);
  const answers = await client.askAll(all.map(withoutRespond));
  all.forEach((sent, index) => {
    const answer = answers[index]!;
    count[answer.replayed === true ? 'replayed' : 'ranNow'] += 1;
    if ((answer.replayed === true) !== known.has(sent.id)) wrong.push({ sent: nameOf(sent), answer });
    if (isEarly(sent, answer)) wrong.push({ sent: nameOf(sent), answer });
    load.tell(sent, outcomeOf(answer));
  });
  expect(wrong).toEqual([]);
  expect(load.problems).toEqual([]);
  return count;
}

/** The same command, but one that is answered at its end. */
function withoutRespond({ frame }: Sent): CommandFrame {
  const { respond, ...rest } = frame;
  return rest;
}

/**
 * Other content under a known id or key is refused and changes nothing; a known key answers under another id.
 *
 * @returns how many keys there were: of a server that was killed early, perhaps none.
 */
async function expectConflicts(client: Client, load: Load, left: Audit, random: Random): Promise<number> {
  // Of earlier boots: what is known of them comes from the journal. Of this one it is in memory.
  const all = load.sent.filter(({ frame }) => frame.type === 'set_session_name');
  const names = all.filter(({ id }) => left.outcomes.has(id));
  const sample = [...Array.from({ length: 5 }, () => random.pick(names)), ...all.slice(-5)];
  const conflicts = await client.ask(
    ...sample.map(({ frame: { idempotencyKey, ...frame } }) => ({ ...frame, name: 'something else' })),
  );
  expect(conflicts.map(({ errorCode }) => errorCode)).toEqual(sample.map(() => 'ID_CONFLICT'));

  const keyed = names.filter(
    ({ frame, outcome }) => frame['idempotencyKey'] !== undefined && outcome!.success === true,
  );
  for (const { frame, outcome } of keyed.slice(-5)) {
    const { id, ...same } = frame;
    const [again, other] = await client.ask(same, { ...same, name: 'something else' });
    expect({ ...outcomeOf(again!), replayed: again!.replayed }).toEqual({ ...outcome, replayed: true });
    expect(other!.errorCode).toBe('IDEMPOTENCY_CONFLICT');
  }
  return keyed.length;
}

/** On each kept session every successful change has a version of its own, and together they leave no gap. */
function expectVersions(load: Load): void {
  for (const [sessionId, commands] of load.kept()) {
    const done = commands.filter(({ frame, outcome }) => outcome?.success === true && frame.type !== 'create_session');
    const versionsOf = (fits: (sent: Sent) => boolean): number[] =>
      done.filter(fits).map(({ outcome }) => outcome!.sessionVersion!);
    const changes = versionsOf(({ frame }) => frame.type !== 'abort');
    // An abort of nothing changes nothing and shows the version that it found.
    const all = new Set([...changes, ...versionsOf(({ frame }) => frame.type === 'abort')]);
    all.delete(0);
    expect([sessionId, changes.length]).toEqual([sessionId, new Set(changes).size]);
    expect([sessionId, Math.max(0, ...all)]).toEqual([sessionId, all.size]);
  }
}

async function everySession(client: Client) {
  const { data } = await client.answer({ type: 'list_sessions' });
  const sessions = data.sessions as { sessionId: string }[];
  return Promise.all(
    sessions.map(async ({ sessionId }) => {
      const [state, messages] = await client.ask(
        { type: 'get_state', sessionId, id: `state ${sessionId}` },
        { type: 'get_messages', sessionId, id: `messages ${sessionId}` },
      );
      return { state: state!, messages: messages! };
    }),
  );
}
