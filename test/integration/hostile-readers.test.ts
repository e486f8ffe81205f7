/** Clients that do not read, on real sockets: their events stop and are told to, their responses are kept, nobody else waits. */
import { describe, expect, it } from 'vitest';
import { Client, type Frame } from './client.ts';
import { startServer, temporaryFolder, type ServerProcess } from './server-process.ts';

const KIB = 1024;
const LARGE = 'x'.repeat(100_000);
/** Enough that no operating system takes it off the server's hands. */
const PROMPTS = 60;

const limits = { outgoingBytesMax: 2 * KIB * KIB, outgoingBytesCloseMax: 16 * KIB * KIB };

async function attached(server: ServerProcess): Promise<Client> {
  const client = await Client.connect(server);
  await client.answer({ type: 'attach_session', sessionId: 's', deltas: 'compact' });
  await client.until(({ type }) => type === 'session_synced');
  return client;
}

const seqs = (frames: readonly Frame[]): number[] => frames.map(({ seq }) => seq!);
const isLagging = ({ type }: Frame): boolean => type === 'session_lagging';

/** Runs prompts whose events are large, one after the other, and sees all of them. */
async function prompts(client: Client, count: number): Promise<void> {
  for (let index = 0; index < count; index += 1) {
    const answer = await client.answer({ type: 'prompt', sessionId: 's', message: LARGE });
    expect(answer.success).toBe(true);
  }
}

describe('a client that stops reading', () => {
  it('loses events behind a mark, keeps its responses, and slows nobody', { timeout: 120_000 }, async () => {
    const server = await startServer(temporaryFolder(), { config: { limits } });
    const fast = await Client.connect(server);
    await fast.answer({ type: 'create_session', sessionId: 's' });
    await fast.answer({ type: 'attach_session', sessionId: 's', deltas: 'compact' });
    const slow = await attached(server);
    slow.socket.pause();
    const asked = Array.from({ length: 50 }, (_, index) => `asked-${index}`);
    for (const id of asked.slice(0, 25)) slow.send({ type: 'get_state', id, sessionId: 's' });
    await prompts(fast, PROMPTS);
    for (const id of asked.slice(25)) slow.send({ type: 'get_state', id, sessionId: 's' });

    // The one who reads has every event, while the other has read none.
    const all = seqs(fast.events('s'));
    expect(all).toEqual(all.map((_, index) => index + 1));
    expect(fast.frames.filter(isLagging)).toEqual([]);
    expect(slow.events('s')).toEqual([]);

    slow.socket.resume();
    const answers = await Promise.all(asked.map((id) => slow.response(id)));
    expect(answers.map(({ success }) => success)).toEqual(asked.map(() => true));
    const mark = await slow.until(isLagging);
    const seen = seqs(slow.events('s'));
    expect(seen).toEqual(all.slice(0, mark.data.seq as number));
    expect(seen.length).toBeLessThan(all.length);

    // It goes on where it attaches again.
    const again = await slow.answer({ type: 'attach_session', sessionId: 's', deltas: 'compact' });
    expect(again.data).toMatchObject({ watermark: all.length });
    await prompts(fast, 1);
    await fast.answer({ type: 'get_state', sessionId: 's' });
    const rest = seqs(fast.events('s')).slice(all.length);
    await slow.until(({ seq, ephemeral }) => seq === rest.at(-1) && !ephemeral);
    expect(seqs(slow.events('s')).slice(seen.length)).toEqual(rest);
  });

  it(
    'and takes not even its responses is closed with 1013, and its commands are done',
    { timeout: 120_000 },
    async () => {
      const server = await startServer(temporaryFolder(), { config: { limits } });
      const other = await Client.connect(server);
      await other.answer({ type: 'create_session', sessionId: 's' });
      await prompts(other, 10);
      const stuck = await Client.connect(server);
      stuck.socket.pause();
      stuck.send({ type: 'set_session_name', id: 'named', sessionId: 's', name: 'before' });
      // Two megabytes each.
      for (let index = 0; index < 30; index += 1)
        stuck.send({ type: 'get_messages', id: `m-${index}`, sessionId: 's' });
      expect(await server.line('connection closed')).toMatchObject({ code: 1013 });
      const state = await other.answer({ type: 'get_state', sessionId: 's' });
      expect(state.data).toMatchObject({ sessionName: 'before' });
      stuck.socket.resume();
      // What it did not read in time is gone with its socket.
      expect([1006, 1013]).toContain((await stuck.closed).code);
      expect(server.log.filter(({ level }) => level > 30)).toEqual([]);
      // The server may hear of the end of the socket later than the client.
      await expect
        .poll(async () => (await other.answer({ type: 'get_metrics' })).data.live, { timeout: 30_000 })
        .toMatchObject({ connections: 1 });
    },
  );
});
