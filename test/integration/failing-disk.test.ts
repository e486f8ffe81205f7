/**
 * A disk that takes no more, played by a limit on the size of files: the server ends with one line, and whatever anybody was
 * shown is there when it starts again with room. See docs/adr/0007.
 */
import { describe, expect, it } from 'vitest';
import { Client } from './client.ts';
import { soundJournal } from './journal-audit.ts';
import { ServerProcess, startServer, temporaryFolder } from './server-process.ts';

const sessionId = 's';
/** Room for the journal of some hundred commands. */
const fileKibMax = 1_024;

describe('a journal that cannot grow', () => {
  it('ends the server, which has shown nothing that is not stored', { timeout: 120_000 }, async () => {
    const dataDir = temporaryFolder();
    const server = await startServer(dataDir, { fileKibMax });
    const client = await Client.connect(server);
    const witness = await Client.connect(server);
    await client.ask({ type: 'create_session', sessionId }, { type: 'attach_session', sessionId });

    const sent: { type: string; id: string; sessionId: string; name: string }[] = [];
    const send = (): void => {
      const number = sent.length + 1;
      const rename = { type: 'set_session_name', id: `rename ${number}`, sessionId, name: `name ${number}` };
      sent.push(rename);
      client.send(rename);
    };
    client.onFrame = ({ type, success }) => {
      if (type === 'response' && success === true) send();
    };
    for (let count = 0; count < 20; count += 1) send();
    // A turn that is running then ends with the rest.
    client.send({
      type: 'create_session',
      sessionId: 'turn',
      engine: 'scripted',
      input: { turns: [[{ hang: true }]] },
    });
    client.send({ type: 'prompt', id: 'hanging', sessionId: 'turn', message: 'go' });

    expect(await server.exited).toEqual({ code: 1, signal: null });
    expect(server.log.filter(({ level }) => level > 30)).toMatchObject([
      { level: 60, msg: 'fatal: the journal cannot be written' },
    ]);
    expect(server.stderr).toBe('');
    await Promise.all([client.closed, witness.closed]);

    const left = await soundJournal(dataDir);
    const finished = [...client.frames, ...witness.frames].filter(({ type }) => type === 'command_finished');
    const answered = client.frames.filter(({ type, command }) => type === 'response' && command === 'set_session_name');
    expect(answered.length).toBeGreaterThan(20);
    for (const { id, success, sessionVersion } of answered) {
      expect({ success, sessionVersion }).toEqual({
        success: true,
        sessionVersion: left.outcomes.get(String(id))!.sessionVersion,
      });
    }
    expect(
      finished.filter(
        ({ data }) => data.commandType !== 'attach_session' && !left.outcomes.has(data.commandId as string),
      ),
    ).toEqual([]);
    expect(client.events(sessionId).filter(({ epoch, seq }) => !left.events.has(`${epoch!}:${seq!}`))).toEqual([]);
    // Something was under way that nobody was told of.
    expect(sent.length).toBeGreaterThan(answered.length);

    const next = await Client.connect(await startServer(dataDir));
    const state = await next.answer({ type: 'get_state', sessionId });
    expect(state.sessionVersion).toBe(left.sessions.find((session) => session.sessionId === sessionId)!.version);
    const resent = await next.askAll(sent);
    expect(resent.map(({ success, sessionVersion }) => [success, sessionVersion])).toEqual(
      sent.map((_, index) => [true, index + 1]),
    );
    expect(resent.filter(({ replayed }) => replayed === true).length).toBeGreaterThanOrEqual(answered.length);
    expect(await next.answer({ type: 'prompt', id: 'hanging', sessionId: 'turn', message: 'go' })).toMatchObject({
      errorCode: 'INTERRUPTED',
      replayed: true,
    });
  });

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
    expect(unopened.stderr).toMatch(/^troupe: \S+\/journal\.db cannot be opened .*--data-dir\n$/);
    const unwritten = new ServerProcess(dataDir, { fileKibMax: 64 });
    expect(await unwritten.exited).toEqual({ code: 1, signal: null });
    expect(unwritten.log).toMatchObject([{ level: 60, msg: 'fatal: the journal cannot be written' }]);
    expect(unwritten.stderr).toBe('');
    expect(await soundJournal(dataDir)).toMatchObject({ entryCount, boots: 1, started: ['cut'] });

    const next = await Client.connect(await startServer(dataDir));
    const [recovery, state] = await next.ask({ type: 'get_startup_recovery' }, { type: 'get_state', sessionId });
    expect(recovery!.data).toMatchObject({ boot: 2, recoveredInFlightFailures: 1 });
    expect(state).toMatchObject({ sessionVersion: 40, data: { sessionName: 'name 40' } });
  });
});
