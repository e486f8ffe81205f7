import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import {
  echo,
  long,
  messages,
  ping,
  prompt,
  running,
  scripted,
  startStdio,
  type Frame,
  type StartedStdio,
} from './stdio-client.ts';
import { Workplace, type RunOptions, type Troupe } from './troupe-process.ts';

// Every test starts a process, and the machine may be busy.
vi.setConfig({ testTimeout: 90_000 });

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

const start = (options?: RunOptions, ...args: string[]): StartedStdio => startStdio(place, options, ...args);

describe('a client that goes away', () => {
  it('by closing stdout is a disconnect: the server stops in order', async () => {
    const { troupe, client } = start();
    client.send(ping('1'));
    await client.response('1');
    client.output.destroy();
    client.send(ping('2'));
    expect(await troupe.ended).toMatchObject({ code: 0, signal: null });
    expect(messages(troupe)).toEqual(['listening', 'stdout broken', 'stopping', 'stopped']);
    expect(troupe.log[2]).toMatchObject({ reason: 'output broken' });
  });

  it('in the middle of a turn gets the time to drain and no more', async () => {
    const { troupe, client } = start({ env: { TROUPE_TIMEOUTS_DRAIN_MS: '200' } });
    client.send(scripted([{ text: 'begun' }, { hang: true }]), prompt);
    await client.until(running);
    client.output.destroy();
    client.send(ping('2'));
    expect((await troupe.ended).code).toBe(0);
    const { troupe: next, client: later } = start();
    later.send(prompt);
    expect(await later.response('prompt')).toMatchObject({ errorCode: 'COMMAND_ABORTED', replayed: true });
    later.input.end();
    expect((await next.ended).code).toBe(0);
  });

  it('without ever reading costs a bounded queue: the loop is free, the memory flat, and nothing is lost', async () => {
    const { troupe, client } = start({ env: { TROUPE_LIMITS_OUTGOING_BYTES_MAX: '1000000' } }, '--port', '0');
    const { url } = await troupe.line('listening');
    client.send(echo, { ...long, id: 'first' }, long);
    await client.response('prompt');
    client.output.pause();
    const before = residentBytes(troupe);
    const asked = Array.from({ length: 100 }, (_, index) => `m${index}`);
    // Each is answered with 2.4 million bytes.
    for (const id of asked) client.send({ type: 'get_messages', sessionId: 's', id });

    const other = new WebSocket(String(url));
    await once(other, 'message');
    for (let round = 0; round < 200; round += 1) {
      other.send(JSON.stringify(ping(`p${round}`)));
      await once(other, 'message');
    }
    expect(residentBytes(troupe) - before).toBeLessThan(100_000_000);

    client.output.resume();
    const ids = new Set(asked);
    await client.until(
      (line) => line.startsWith('{"type":"response"') && ids.delete(idAtFront(line)) && ids.size === 0,
    );
    expect(client.responses().filter(({ success }) => success !== true)).toEqual([]);
    client.input.end();
    expect((await troupe.ended).code).toBe(0);
    other.terminate();
  });

  it('for a while loses events, with a word, and no response', async () => {
    const { troupe, client } = start({ env: { TROUPE_LIMITS_OUTGOING_BYTES_MAX: '100000' } }, '--port', '0');
    const { url } = await troupe.line('listening');
    const steps = Array.from({ length: 30 }, () => ({ text: 'long words '.repeat(2_000) }));
    client.send(scripted(steps), { type: 'attach_session', sessionId: 's', id: 'attach', deltas: 'full' });
    await client.response('attach');
    client.output.pause();
    client.send(prompt);
    // The turn is over when somebody else is told so: the stalled client did not hold it up.
    const other = new Onlooker(String(url));
    await other.until((frame) => frame['type'] === 'command_finished' && named(frame) === 'prompt');
    client.output.resume();
    expect(await client.response('prompt')).toMatchObject({ success: true });
    const lagging = JSON.parse(await client.until((line) => line.startsWith('{"type":"session_lagging"'))) as Frame;
    expect(lagging['data']).toMatchObject({ sessionId: 's', seq: expect.any(Number) as number });
    expect(client.lines.filter((line) => line.includes('"agent_end"'))).toEqual([]);
    client.send({ type: 'attach_session', sessionId: 's', id: 'again' });
    expect(await client.response('again')).toMatchObject({ success: true });
    client.input.end();
    expect((await troupe.ended).code).toBe(0);
    other.socket.terminate();
  });
});

describe('a frame', () => {
  it('ends at LF alone, wherever the pipe cuts it', async () => {
    const { troupe, client } = start();
    const name = 'a\u2028b\u2029c\u0085ä€😀';
    client.send(echo);
    const bytes = Buffer.from(
      `${JSON.stringify({ type: 'prompt', id: 'p', sessionId: 's', message: name })}\r\n\n\r\n`,
    );
    await client.response('create');
    for (const byte of bytes) {
      if (!client.input.write(Buffer.from([byte]))) await once(client.input, 'drain');
    }
    expect(await client.response('p')).toMatchObject({ success: true });
    client.send({ type: 'get_last_assistant_text', id: 't', sessionId: 's' });
    expect(await client.response('t')).toMatchObject({ data: { text: name } });
    client.input.end();
    expect((await troupe.ended).code).toBe(0);
    // Nobody answered an empty line.
    expect(client.responses()).toHaveLength(3);
  });

  it('of a million bytes is one, and so is its answer', async () => {
    const { troupe, client } = start();
    const { message } = long;
    client.send(echo, { ...long, unknown: 'x'.repeat(400_000) });
    expect(await client.response('prompt')).toMatchObject({ success: true });
    client.send({ type: 'get_messages', id: 'm', sessionId: 's' });
    const { data } = await client.response('m');
    const { messages: said } = data as { messages: { content: { text: string }[] }[] };
    expect(said.map(({ content }) => content[0]?.text === message)).toEqual([true, true]);
    client.input.end();
    expect((await troupe.ended).code).toBe(0);
  });

  it('that is too long is refused before it ends, skipped unkept, and the next one is served', async () => {
    const { troupe, client } = start({ env: { TROUPE_LIMITS_FRAME_BYTES_MAX: '10000' } });
    await client.until((line) => line.startsWith('{"type":"server_ready"'));
    const before = residentBytes(troupe);
    client.input.write('x'.repeat(10_001));
    const refused = await client.until((line) => line.startsWith('{"type":"response"'));
    expect(JSON.parse(refused)).toEqual({
      type: 'response',
      command: 'unknown',
      success: false,
      error: 'Message size 10001 exceeds limit 10000',
      errorCode: 'FRAME_TOO_LARGE',
    });
    const filler = Buffer.alloc(1_000_000, 'x');
    for (let count = 0; count < 200; count += 1) {
      if (!client.input.write(filler)) await once(client.input, 'drain');
    }
    client.send('', ping('after'), `"${'x'.repeat(9_998)}"`);
    expect(await client.response('after')).toMatchObject({ success: true });
    expect(residentBytes(troupe) - before).toBeLessThan(100_000_000);
    client.input.end();
    expect((await troupe.ended).code).toBe(0);
    expect(client.responses().map(({ errorCode }) => errorCode)).toEqual([
      'FRAME_TOO_LARGE',
      undefined,
      'INVALID_FRAME',
    ]);
  });

  it('that is none is answered, and the one behind it too', async () => {
    const { troupe, client } = start();
    client.send('{', 'null', '  ', '\uFEFF{}', '{"type":"nope"}', ping('1'));
    expect(await client.response('1')).toMatchObject({ success: true });
    client.input.end();
    expect((await troupe.ended).code).toBe(0);
    expect(client.responses().map(({ errorCode }) => errorCode)).toEqual([
      'INVALID_JSON',
      'INVALID_FRAME',
      'INVALID_JSON',
      'INVALID_JSON',
      'UNKNOWN_COMMAND',
      undefined,
    ]);
  });
});

/** What the operating system has given the process. */
function residentBytes({ child }: Troupe): number {
  const status = `/proc/${child.pid}/status`;
  const text = existsSync(status)
    ? /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(status, 'utf8'))?.[1]
    : execFileSync('ps', ['-o', 'rss=', '-p', String(child.pid)], { encoding: 'utf8' });
  return 1024 * Number(text);
}

const idAtFront = (line: string): string => /^\{"type":"response","id":"([^"]*)"/.exec(line)?.[1] ?? '';
const named = (frame: Frame): unknown => (frame['data'] as Frame)['commandId'];

/** Another client, over a socket, beside the one on stdio. */
class Onlooker {
  readonly socket: WebSocket;
  readonly #frames: Frame[] = [];

  constructor(url: string) {
    this.socket = new WebSocket(url);
    this.socket.on('message', (data) => {
      this.#frames.push(JSON.parse((data as Buffer).toString()) as Frame);
      this.socket.emit('frame');
    });
  }

  async until(isIt: (frame: Frame) => boolean): Promise<void> {
    while (!this.#frames.some(isIt)) await once(this.socket, 'frame');
  }
}
