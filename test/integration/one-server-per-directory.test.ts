/** A data directory belongs to one server at a time, and to nobody when that one is dead. */
import { expect, it } from 'vitest';
import { Client } from './client.ts';
import { ServerProcess, startServer, temporaryFolder } from './server-process.ts';

it(
  'a second server is refused while the first one lives, and takes over when it was killed',
  { timeout: 120_000 },
  async () => {
    const dataDir = temporaryFolder();
    const first = await startServer(dataDir);
    const client = await Client.connect(first);
    await client.ask({ type: 'create_session', sessionId: 's', name: 'mine' });

    const refused = new ServerProcess(dataDir);
    expect(await Promise.race([refused.exited, refused.line('listening')])).toEqual({ code: 4, signal: null });
    expect(refused.stdout).toBe('');
    expect(refused.stderr).toBe(
      `troupe: ${dataDir} is in use by another server: stop that one, or choose another directory with --data-dir\n`,
    );

    // The refusal took nothing from the first: it writes on.
    const rename = { type: 'set_session_name', id: 'n', sessionId: 's', name: 'still mine' };
    expect(await client.answer(rename)).toMatchObject({ success: true, sessionVersion: 1 });
    await first.kill('SIGKILL');

    const second = await Client.connect(await startServer(dataDir));
    expect(await second.answer(rename)).toMatchObject({ success: true, sessionVersion: 1, replayed: true });
    expect((await second.answer({ type: 'get_state', sessionId: 's' })).data).toMatchObject({
      sessionName: 'still mine',
    });
  },
);
