import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { WebSocket } from 'ws';
import {
  echo,
  long,
  messages,
  prompt,
  running,
  scripted,
  startStdio,
  type Frame,
  type StartedStdio,
} from './stdio-client.ts';
import { Workplace, type RunOptions } from './troupe-process.ts';

// Every test starts a process, and the machine may be busy.
vi.setConfig({ testTimeout: 90_000 });

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

const start = (options?: RunOptions, ...args: string[]): StartedStdio => startStdio(place, options, ...args);

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
    expect(ready['data']).toMatchObject({ transports: ['websocket', 'http', 'stdio'] });
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
