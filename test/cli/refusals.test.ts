import { once } from 'node:events';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { defaultConfig } from '../../src/config.ts';
import { nodeProblem } from '../../src/cli/node-version.ts';
import { Workplace } from './troupe-process.ts';

// Every test starts processes, some of them two: seconds on a busy machine.
vi.setConfig({ testTimeout: 60_000 });

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

describe('a command line that means nothing is refused in one line, and nothing is written', () => {
  it.each<[string, string]>([
    ['serve --prot 1', "troupe: unknown option '--prot' (Did you mean --port?) (see troupe --help)"],
    ['--port', "troupe: option '--port <port>' argument missing (see troupe --help)"],
    ['sreve', 'troupe: there is no command "sreve"; the nearest one is "serve" (see troupe --help)'],
    ['serve now', "troupe: too many arguments for 'serve'. Expected 0 arguments but got 1: now. (see troupe --help)"],
    ['diagram --data-dir x', 'troupe: "diagram" is planned and not part of this version yet'],
    ['verify now', "troupe: too many arguments for 'verify'. Expected 0 arguments but got 1: now. (see troupe --help)"],
    ['--auth-token-file x', 'troupe: --auth-token-file: authentication is not part of this version yet'],
    ['config', 'troupe: "config" needs --print-default'],
    ['--port 80000', 'troupe: --port 80000: must be a whole number from 0 to 65535'],
    ['--engine gpt', 'troupe: --engine gpt: must be one of: echo, scripted, pi'],
    [
      '--host 0.0.0.0',
      'troupe: --host 0.0.0.0: would be reachable from other machines, which needs authentication, and that is not part of this version yet: use 127.0.0.1, ::1 or localhost',
    ],
  ])('%s', async (command, line) => {
    const { code, stdout, stderr } = await place.end(command.split(' '));
    expect({ code, stdout, stderr }).toEqual({ code: 2, stdout: '', stderr: `${line}\n` });
    expect(place.files).toEqual([]);
  });
});

describe('a configuration that is wrong is refused by the name under which it was given', () => {
  it('in the file', async () => {
    writeFileSync(place.path('troupe.json'), JSON.stringify({ limits: { sessionMax: 5 }, breaker: { cooldownMs: 1 } }));
    const { code, stderr } = await place.end(['--config', 'troupe.json']);
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr:
        'troupe: limits.sessionMax in troupe.json: unknown key; the nearest known one is limits.sessionsMax\n' +
        'troupe: breaker in troupe.json: circuit breakers are not part of this version yet; remove the key\n',
    });
    expect(place.files).toEqual(['troupe.json']);
  });

  it('in the environment', async () => {
    const { code, stderr } = await place.end([], { env: { TROUPE_PORT: 'x' } });
    expect({ code, stderr }).toEqual({
      code: 2,
      stderr: 'troupe: TROUPE_PORT=x: must be a whole number from 0 to 65535\n',
    });
  });
});

describe('a place that cannot be used', () => {
  it('is a busy port: the line names it and the remedy, and no data directory appears', async () => {
    const squatter = createServer().listen(0, '127.0.0.1');
    await once(squatter, 'listening');
    const { port } = squatter.address() as AddressInfo;
    const { code, stdout, stderr } = await place.end(['--port', String(port), '--data-dir', 'data']);
    squatter.close();
    expect({ code, stdout, stderr }).toEqual({
      code: 3,
      stdout: '',
      stderr: `troupe: port ${port} on 127.0.0.1 is in use: stop the program that listens there, or choose another port with --port (0 takes a free one)\n`,
    });
    expect(place.files).toEqual([]);
  });

  it('is a directory of something else, which stays as it is', async () => {
    mkdirSync(place.path('data'));
    writeFileSync(place.path('data/thesis.txt'), 'mine');
    const { code, stdout, stderr } = await place.end(['--port', '0', '--data-dir', 'data']);
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/^troupe: \S+\/data holds other files and no journal of troupe: .*--data-dir\n$/);
    expect(readdirSync(place.path('data'))).toEqual(['thesis.txt']);
  });

  it('is a directory that another server uses, which goes on', async () => {
    const first = place.run(['--port', '0', '--data-dir', 'data']);
    const { url } = await first.line('listening');
    const { code, stdout, stderr } = await place.end(['--port', '0', '--data-dir', 'data']);
    expect([code, stdout]).toEqual([4, '']);
    expect(stderr).toMatch(/^troupe: \S+\/data is in use by another server: .*--data-dir\n$/);
    expect((await fetch(String(url))).status).toBe(426);
  });

  it('is an engine that is not installed: nothing is written, and the line says what is missing', async () => {
    const { code, stdout, stderr } = await place.end(['--engine', 'pi', '--port', '0'], {
      env: { TROUPE_PI_PATH: place.path('nowhere') },
    });
    expect([code, stdout]).toEqual([5, '']);
    expect(stderr).toMatch(/^troupe: engine pi: .*npm .*install.*\n$/);
    expect(place.files).toEqual([]);
  });
});

describe('a Node that is too old', () => {
  it('gets one line and an exit code, whatever it was asked for', async () => {
    const old = "Object.defineProperty(process.versions, 'node', { value: '20.20.2' })";
    const { code, stdout, stderr } = await place.end(['--version'], {
      node: ['--import', `data:text/javascript,${old}`],
    });
    expect([code, stdout]).toEqual([6, '']);
    expect(stderr).toMatch(/^troupe: Node 20\.20\.2 is too old: troupe needs 22\.19 or newer \(.*npm start.*\)\n$/);
  });

  it.each(['22.19.0', '22.20.1', '23.0.0', '24.21.0', '100.0.0'])('is not %s', (version) => {
    expect(nodeProblem(version)).toBeUndefined();
  });

  it.each(['22.18.9', '21.7.3', '8.0.0', '0.12.1'])('is %s', (version) => {
    expect(nodeProblem(version)).toContain(`Node ${version} is too old`);
  });
});

describe('help', () => {
  it('lists the options with their variables, and the exit codes', async () => {
    const { code, stdout, stderr } = await place.end(['--help']);
    expect([code, stderr]).toEqual([0, '']);
    for (const text of [
      '--port <port>',
      '[TROUPE_DATA_DIR]',
      'serve',
      'config',
      '--print-default',
      'Exit codes:',
      '143',
    ]) {
      expect(stdout).toContain(text);
    }
  });

  it('is the version on demand', async () => {
    const manifest = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8')) as {
      version: string;
    };
    expect((await place.end(['--version'])).stdout).toBe(`${manifest.version}\n`);
  });
});

describe('config --print-default', () => {
  it('prints a file that --config accepts', async () => {
    const { stdout } = await place.end(['config', '--print-default']);
    expect(JSON.parse(stdout)).toEqual(defaultConfig);
    writeFileSync(place.path('troupe.json'), stdout);
    const troupe = place.run(['--config', 'troupe.json', '--port', '0', '--data-dir', 'data']);
    await troupe.line('listening');
    troupe.child.kill('SIGTERM');
    expect((await troupe.ended).code).toBe(0);
  });
});
