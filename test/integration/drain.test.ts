/** A server that is told to stop in the middle of a turn. The signals themselves are the command line's tests. */
import { describe, expect, it } from 'vitest';
import { Client, type CommandFrame } from './client.ts';
import { soundJournal } from './journal-audit.ts';
import { startServer, temporaryFolder } from './server-process.ts';

const sessionId = 's';
const prompt = (id: string): CommandFrame => ({ type: 'prompt', id, sessionId, message: 'go' });

describe('told to stop in the middle of a turn', () => {
  it(
    'the server lets it finish, runs what it had accepted, refuses the rest, and ends with 0',
    { timeout: 120_000 },
    async () => {
      const dataDir = temporaryFolder();
      const server = await startServer(dataDir);
      const client = await Client.connect(server);
      const turns = [[{ tool: { name: 'wait', delayMs: 2_000 } }, { text: 'done' }], [{ text: 'done as well' }]];
      await client.answer({ type: 'create_session', sessionId, engine: 'scripted', input: { turns } });
      client.send(prompt('running'), prompt('accepted'));
      await Promise.all([client.lifecycle('started', 'running'), client.lifecycle('accepted', 'accepted')]);

      const exited = server.kill('SIGTERM');
      expect(await client.until(({ type }) => type === 'server_shutdown')).toEqual({
        type: 'server_shutdown',
        data: { reason: 'graceful_shutdown', timeoutMs: 30_000 },
      });
      const from = client.frames.length;
      expect(await client.answer(prompt('late'))).toMatchObject({ success: false, errorCode: 'SHUTTING_DOWN' });
      expect(await client.response('running')).toMatchObject({ success: true });
      expect(await client.response('accepted')).toMatchObject({ success: true });
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect(await exited).toEqual({ code: 0, signal: null });
      expect(client.frames.slice(from).some(({ data }) => data?.commandId === 'late')).toBe(false);

      const left = await soundJournal(dataDir);
      expect([...left.outcomes.keys()].slice(1)).toEqual(['running', 'accepted']);
      // What was refused left no trace: the same frame may be sent to the next server.
      const next = await Client.connect(await startServer(dataDir));
      const [recovery, late, running] = await next.ask(
        { type: 'get_startup_recovery' },
        prompt('late'),
        prompt('running'),
      );
      expect(recovery!.data).toMatchObject({ recoveredInFlightFailures: 0, requeued: 0 });
      expect([late!.success, late!.replayed]).toEqual([true, undefined]);
      expect([running!.success, running!.replayed]).toEqual([true, true]);
    },
  );

  it(
    'the server aborts it when the time to drain is over, stores that, and ends with 0',
    { timeout: 120_000 },
    async () => {
      const dataDir = temporaryFolder();
      const server = await startServer(dataDir, { config: { timeouts: { drainMs: 100 } } });
      const client = await Client.connect(server);
      await client.ask(
        {
          type: 'create_session',
          sessionId,
          engine: 'scripted',
          input: { turns: [[{ text: 'so far' }, { hang: true }]] },
        },
        { type: 'attach_session', sessionId },
      );
      client.send(prompt('hanging'), prompt('waiting'));
      await client.until(({ event }) => event?.type === 'turn_start');
      await client.lifecycle('accepted', 'waiting');

      const exited = server.kill('SIGTERM');
      expect(await client.response('hanging')).toMatchObject({ success: false, errorCode: 'COMMAND_ABORTED' });
      expect(await client.response('waiting')).toMatchObject({ success: false, errorCode: 'COMMAND_ABORTED' });
      expect(await client.closed).toMatchObject({ code: 1001 });
      expect(await exited).toEqual({ code: 0, signal: null });
      expect(
        client
          .events(sessionId)
          .map(({ event }) => event!.type)
          .slice(-2),
      ).toEqual(['turn_end', 'agent_end']);

      const left = await soundJournal(dataDir);
      expect(['hanging', 'waiting'].map((id) => left.outcomes.get(id)?.errorCode)).toEqual([
        'COMMAND_ABORTED',
        'COMMAND_ABORTED',
      ]);
      const next = await Client.connect(await startServer(dataDir));
      const [recovery, ...again] = await next.ask(
        { type: 'get_startup_recovery' },
        prompt('hanging'),
        prompt('waiting'),
      );
      expect(recovery!.data).toMatchObject({ recoveredInFlightFailures: 0, requeued: 0 });
      expect(again).toMatchObject([
        { errorCode: 'COMMAND_ABORTED', replayed: true },
        { errorCode: 'COMMAND_ABORTED', replayed: true },
      ]);
    },
  );
});
