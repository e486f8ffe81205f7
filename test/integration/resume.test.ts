/** A viewer on a bad network: its connection is cut again and again while others work, and it comes back behind what it saw. */
import { expect, it, onTestFinished, vi } from 'vitest';
import { checkConfig } from '../../src/config.ts';
import { createServer } from '../../src/server.ts';
import { createBus } from '../../src/telemetry/bus.ts';
import { Client } from './client.ts';
import { temporaryFolder } from './server-process.ts';

const CUTS = 50;
const AT_ONCE = 5;

it(
  'sees every event exactly once, in order, over 50 cut connections under load (X7)',
  { timeout: 120_000 },
  async () => {
    const checked = checkConfig({ port: 0, dataDir: temporaryFolder() });
    if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
    const server = createServer(checked.config, { telemetry: createBus() });
    const { listening } = await server.start();
    onTestFinished(() => server.stop());
    const url = listening!.url.replace(/^http/, 'ws');
    const driver = new Client(url);
    await driver.until(({ type }) => type === 'startup_recovery_summary');
    await driver.answer({ type: 'create_session', sessionId: 's' });
    const { data } = await driver.answer({ type: 'attach_session', sessionId: 's' });

    let driving = true;
    let counted = 0;
    const drive = (): void => {
      if (!driving) return;
      counted += 1;
      if (counted % 10 === 0) driver.send({ type: 'prompt', sessionId: 's', message: `words of ${counted}` });
      else driver.send({ type: 'set_session_name', sessionId: 's', name: `name ${counted}` });
    };
    driver.onFrame = ({ type }) => void (type === 'response' && drive());
    for (let count = 0; count < AT_ONCE; count += 1) drive();

    const seen: number[] = [];
    const told: string[] = [];
    const cursor = { epoch: data.epoch as string, seq: 0 };
    const watch = (client: Client, until: () => boolean) =>
      new Promise<void>((resolve) => {
        client.onFrame = ({ type, seq, ephemeral }) => {
          if (type === 'session_gap' || type === 'session_lagging') told.push(type);
          if (type === 'event' && ephemeral !== true) {
            seen.push(seq!);
            cursor.seq = seq!;
          }
          if (until()) resolve();
        };
        client.send({ type: 'attach_session', sessionId: 's', after: { ...cursor } });
      });

    for (let cut = 0; cut < CUTS; cut += 1) {
      const client = new Client(url);
      await client.until(({ type }) => type === 'startup_recovery_summary');
      const from = seen.length;
      // Some are cut before they have caught up, in the middle of what they missed, others when they are live.
      await watch(client, () => seen.length >= from + (cut % 5) * 10 + 1);
      client.onFrame = undefined;
      client.socket.terminate();
      await client.closed;
      await new Promise((resolve) => setTimeout(resolve, (cut % 3) * 10));
    }
    driving = false;
    await vi.waitFor(() => {
      const answers = driver.frames.filter(({ type }) => type === 'response').length;
      expect(answers).toBeGreaterThanOrEqual(counted + 2);
    });
    const [newest] = await driver.ask({ type: 'get_session_events', sessionId: 's', before: 'live', limit: 1 });
    const last = newest!.data.events[0].seq as number;
    const client = new Client(url);
    await client.until(({ type }) => type === 'startup_recovery_summary');
    if (cursor.seq < last) await watch(client, () => cursor.seq >= last);
    expect(told).toEqual([]);
    expect(last).toBeGreaterThan(CUTS);
    expect(seen).toEqual(Array.from({ length: last }, (_, index) => index + 1));
  },
);
