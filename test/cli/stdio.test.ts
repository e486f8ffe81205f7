import { execFile, execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import { StdioClient, type Frame } from './stdio-client.ts';
import { Workplace, type RunOptions, type Troupe } from './troupe-process.ts';

// Every test starts a process, and the machine may be busy.
vi.setConfig({ testTimeout: 90_000 });

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

interface Started {
  readonly troupe: Troupe;
  readonly client: StdioClient;
}

function start(options: RunOptions = {}, ...args: string[]): Started {
  const troupe = place.run(['--stdio', '--data-dir', 'data', ...args], { ...options, stdio: true });
  return { troupe, client: new StdioClient(troupe) };
}

const ping = (id: string): Frame => ({ type: 'ping', id });
const scripted = (steps: unknown): Frame => ({
  type: 'create_session',
  sessionId: 's',
  id: 'create',
  engine: 'scripted',
  input: { turns: [steps] },
});
const echo: Frame = { type: 'create_session', sessionId: 's', id: 'create' };
const prompt: Frame = { type: 'prompt', sessionId: 's', message: 'go', id: 'prompt' };
/** 600,000 bytes, and as many again in the answer. */
const long = { ...prompt, message: '€'.repeat(200_000) };
const running = (line: string): boolean =>
  line.startsWith('{"type":"command_started"') && line.includes('"commandId":"prompt"');
const messages = ({ log }: Troupe): string[] => log.map(({ msg }) => msg);

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

describe('the end of the input', () => {
  it('right behind a prompt without an LF gives its response, and exit code 0', async () => {
    const { troupe, client } = start();
    client.input.end(`${JSON.stringify(echo)}\n${JSON.stringify(prompt)}`);
    expect(await client.response('prompt')).toMatchObject({ success: true });
    expect(await troupe.ended).toMatchObject({ code: 0, signal: null });
    expect(client.rest).toBe('');
    expect(messages(troupe)).toEqual(['listening', 'stopping', 'stopped']);
  });

  it('in the middle of a turn lets it finish, and tells how it went on', async () => {
    const { troupe, client } = start();
    client.send(scripted([{ text: 'one' }, { delayMs: 500 }, { text: 'two' }]));
    client.send({ type: 'attach_session', sessionId: 's', id: 'attach' }, prompt);
    await client.until(running);
    client.input.end();
    expect(await client.response('prompt')).toMatchObject({ success: true });
    expect((await troupe.ended).code).toBe(0);
    const order = client.lines.map((line) => (JSON.parse(line) as Frame)['type']);
    expect(order.indexOf('server_shutdown')).toBeLessThan(order.lastIndexOf('response'));
    expect(client.lines.filter((line) => line.includes('"agent_end"'))).toHaveLength(1);
  });

  it('in the middle of a turn that does not end aborts it after the time to drain, and answers', async () => {
    const { troupe, client } = start({ env: { TROUPE_TIMEOUTS_DRAIN_MS: '300' } });
    client.send(scripted([{ hang: true }]), prompt);
    await client.until(running);
    client.input.end();
    expect(await client.response('prompt')).toMatchObject({ success: false, errorCode: 'COMMAND_ABORTED' });
    expect((await troupe.ended).code).toBe(0);
  });

  it('behind more answers than the pipe holds delivers all of them to a reader that takes its time', async () => {
    const { troupe, client } = start();
    client.output.pause();
    client.send(echo, long);
    client.send({ type: 'get_messages', sessionId: 's', id: 'm', dependsOn: ['prompt'] });
    client.input.end();
    await troupe.line('stopping');
    client.output.resume();
    expect(await client.response('m')).toMatchObject({ success: true });
    expect((await troupe.ended).code).toBe(0);
  });

  it('is there from the start when nothing is on stdin', async () => {
    const troupe = place.run(['--stdio', '--data-dir', 'data']);
    const { code, stdout } = await troupe.ended;
    expect(code).toBe(0);
    const types = stdout
      .trimEnd()
      .split('\n')
      .map((line) => (JSON.parse(line) as Frame)['type']);
    expect(types).toEqual(['server_ready', 'startup_recovery_summary', 'server_shutdown']);
  });

  it('works between the pipes of a shell, also when its reader has enough after one line', async () => {
    const main = fileURLToPath(new URL('../../src/cli/main.ts', import.meta.url));
    const script = `(echo '{"type":"ping","id":"1"}'; cat) | "$0" "$1" --stdio --data-dir data 2>log | head -n 1; echo`;
    const shell = execFile('/bin/sh', ['-c', script, process.execPath, main], { cwd: place.folder });
    let text = '';
    shell.stdout!.on('data', (chunk: string) => (text += chunk));
    // Its stdin stays open: only the broken pipe can end the server. The next write of `cat` ends that one as well.
    const closed = once(shell, 'close');
    await once(shell.stdout!, 'data');
    const again = setInterval(() => shell.stdin!.write('{"type":"ping"}\n'), 50);
    shell.stdin!.on('error', () => undefined);
    await closed;
    clearInterval(again);
    expect(text).toMatch(/^\{"type":"server_ready".*\}\n\n$/);
  });
});

describe('the process', () => {
  it('keeps stdout for frames, whatever else is written in it, and its log on stderr', async () => {
    const noise = `process.on('SIGUSR2', () => { console.log('from a library'); process.stdout.write('and another\\n'); })`;
    const node = ['--import', `data:text/javascript,${encodeURIComponent(noise)}`];
    const { troupe, client } = start({ node }, '--log-level', 'debug');
    client.send(echo);
    await client.response('create');
    troupe.child.kill('SIGUSR2');
    while (!troupe.stderr().includes('and another')) await once(troupe.child.stderr!, 'data');
    client.send(prompt);
    await client.response('prompt');
    client.input.end();
    const { stderr } = await troupe.ended;
    expect(stderr).toContain('from a library\n');
    expect(client.frames.every(({ type }) => typeof type === 'string')).toBe(true);
    expect(client.lines.join('\n')).not.toContain('library');
    expect(client.rest).toBe('');
  });

  it('listens nowhere, so two of them never fight for a port, and says so', async () => {
    const squatter = place.run(['--port', '0', '--data-dir', 'other']);
    const { port } = await squatter.line('listening');
    const { troupe, client } = start({ env: { TROUPE_HOST: '127.0.0.1' } });
    const ready = JSON.parse(await client.until((line) => line.startsWith('{"type":"server_ready"'))) as Frame;
    expect(ready['data']).toMatchObject({ transports: ['stdio'], principal: { id: 'local' } });
    const line = await troupe.line('listening');
    expect(line).toMatchObject({ stdio: true, engine: 'echo' });
    expect(line).not.toHaveProperty('port');
    client.input.end();
    expect((await troupe.ended).code).toBe(0);

    // Asked for, a port is a port.
    const busy = start({}, '--port', String(port));
    const ended = await busy.troupe.ended;
    expect(ended.code).toBe(3);
    expect(ended.stderr).toContain(`port ${String(port)} on 127.0.0.1 is in use`);
    expect(busy.client.lines).toEqual([]);
  });

  it('serves both when it was told a port, and its client on stdio is the one that counts', async () => {
    const { troupe, client } = start({ env: { TROUPE_LIMITS_CONNECTIONS_MAX: '1' } }, '--port', '0');
    const { url } = await troupe.line('listening');
    const ready = JSON.parse(await client.until((line) => line.startsWith('{"type":"server_ready"'))) as Frame;
    expect(ready['data']).toMatchObject({ transports: ['websocket', 'stdio'] });
    const surplus = new WebSocket(String(url));
    expect((await once(surplus, 'close'))[0]).toBe(1013);
    client.input.end();
    expect((await troupe.ended).code).toBe(0);
  });

  it('that can not start says why on stderr and nothing on stdout', async () => {
    const first = start();
    await first.troupe.line('listening');
    const second = start();
    expect((await second.troupe.ended).code).toBe(4);
    expect(second.client.lines).toEqual([]);
    expect(second.client.rest).toBe('');
  });

  it('told to stop by SIGTERM drains, answers and ends with 0, though its input is open', async () => {
    const { troupe, client } = start();
    client.send(scripted([{ delayMs: 300 }, { text: 'done' }]), prompt);
    await client.until(running);
    troupe.child.kill('SIGTERM');
    expect(await client.response('prompt')).toMatchObject({ success: true });
    expect(await troupe.ended).toMatchObject({ code: 0, signal: null });
    expect(client.lines.some((line) => line.startsWith('{"type":"server_shutdown"'))).toBe(true);
    expect(messages(troupe)).toEqual(['listening', 'stopping', 'stopped']);
  });

  it('that is on its way out after its input ended needs one signal for order and a second to end at once', async () => {
    const { troupe, client } = start();
    client.send(scripted([{ hang: true }]), prompt);
    await client.until(running);
    client.input.end();
    await troupe.line('stopping');
    const again = setInterval(() => troupe.child.kill('SIGTERM'), 100);
    expect((await troupe.ended).code).toBe(143);
    clearInterval(again);
    expect(messages(troupe)).toEqual(['listening', 'stopping']);
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
