import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { checkConfig, defaultConfig, isLoopback, type Config, type ConfigInput } from '../src/config.ts';
import { environmentName, knownKeys, knownNames, nearest } from '../src/config-keys.ts';
import { ConfigError, loadConfig, type ConfigSources } from '../src/config-sources.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

let files = 0;
function file(content: unknown): string {
  const path = join(folder, `${(files += 1)}.json`);
  writeFileSync(path, typeof content === 'string' ? content : JSON.stringify(content));
  return path;
}

const none: ConfigSources = { flags: [], environment: {} };
const load = (sources: Partial<ConfigSources>): Config => loadConfig({ ...none, ...sources }).config;
function problems(sources: Partial<ConfigSources>): readonly string[] {
  try {
    load(sources);
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
  return [];
}

describe('the defaults', () => {
  it('are what the operating page promises', () => {
    expect(defaultConfig).toMatchObject({
      host: '127.0.0.1',
      port: 3141,
      dataDir: '.troupe',
      engine: 'echo',
      logLevel: 'info',
      limits: {
        sessionsMax: 100_000,
        connectionsMax: 1_000,
        frameBytesMax: 10_485_760,
        mailboxDepthMax: 1_000,
        pendingMax: 100,
      },
      timeouts: { shortMs: 30_000, longMs: 1_800_000, dependencyMs: 30_000, drainMs: 30_000 },
      idempotency: { entriesMax: 1_000_000, cacheBytesMax: 67_108_864, ttlMs: 600_000 },
      heartbeat: { intervalMs: 30_000, timeoutMs: 10_000 },
      rateLimit: { enabled: false },
    });
  });

  it('hold when nothing is given, with the data directory made absolute', () => {
    expect(load({})).toEqual({ ...defaultConfig, dataDir: resolve('.troupe') });
  });

  it('are accepted when they are written down', () => {
    expect(load({ file: file(defaultConfig) })).toEqual({ ...defaultConfig, dataDir: resolve('.troupe') });
  });
});

describe('precedence', () => {
  const flags = [{ path: 'port', flag: '--port', value: '1001' }];
  const environment = { TROUPE_PORT: '1002', TROUPE_ENGINE: 'scripted' };

  it('is command line over environment over file over default', () => {
    const path = file({ port: 1003, engine: 'pi', logLevel: 'warn' });
    expect(load({ flags, environment, file: path })).toMatchObject({
      port: 1001,
      engine: 'scripted',
      logLevel: 'warn',
    });
    expect(load({ environment, file: path }).port).toBe(1002);
    expect(load({ file: path }).port).toBe(1003);
    expect(load({}).port).toBe(3141);
  });

  it('holds for the file itself: --config over TROUPE_CONFIG', () => {
    const TROUPE_CONFIG = file({ port: 1004 });
    expect(load({ environment: { TROUPE_CONFIG } }).port).toBe(1004);
    expect(load({ environment: { TROUPE_CONFIG }, file: file({ port: 1005 }) }).port).toBe(1005);
  });
});

describe('the environment', () => {
  it('has a variable for every key', () => {
    const environment = Object.fromEntries(
      [...knownKeys].map(([path, value]) => [environmentName(path), String(value ?? 'x')]),
    );
    const config = load({ environment });
    expect(config).toEqual({
      ...defaultConfig,
      dataDir: resolve('.troupe'),
      backup: { ...defaultConfig.backup, dir: 'x' },
      pi: { modulePath: 'x', agentDir: 'x' },
    });
    expect(environmentName('limits.sessionsMax')).toBe('TROUPE_LIMITS_SESSIONS_MAX');
    expect(environmentName('dataDir')).toBe('TROUPE_DATA_DIR');
  });

  it('counts an empty variable as not set', () => {
    expect(load({ environment: { TROUPE_PORT: '', TROUPE_CONFIG: '' } }).port).toBe(3141);
  });

  it('reads numbers and truth values, and names the variable when it can not', () => {
    expect(load({ environment: { TROUPE_ALLOW_CRASH: 'true', TROUPE_RECOVERY_REQUEUE: '0' } })).toMatchObject({
      allowCrash: true,
      recovery: { requeue: false },
    });
    expect(problems({ environment: { TROUPE_PORT: '80a', TROUPE_ALLOW_CRASH: 'yes' } })).toEqual([
      'TROUPE_PORT=80a: must be a whole number from 0 to 65535',
      'TROUPE_ALLOW_CRASH=yes: must be true or false',
    ]);
  });

  it('warns of a variable that is no option, with the nearest one, and starts all the same', () => {
    const { config, warnings } = loadConfig({ flags: [], environment: { TROUPE_PROT: '1', PORT: '2' } });
    expect(config.port).toBe(3141);
    expect(warnings).toEqual(['TROUPE_PROT is no option; the nearest one is TROUPE_PORT']);
  });

  it('knows where pi is by the name that the engine reads too', () => {
    const loaded = loadConfig({ flags: [], environment: { TROUPE_PI_PATH: '/opt/pi' } });
    expect([loaded.config.pi.modulePath, loaded.warnings]).toEqual(['/opt/pi', []]);
  });

  it('refuses a variable of a later version: nobody may believe that it does something', () => {
    const environment = { TROUPE_AUTH_TOKEN_FILE: '/run/x', TROUPE_BREAKER_COOLDOWN_MS: '1' };
    expect(problems({ environment })).toEqual([
      'TROUPE_AUTH_TOKEN_FILE: authentication is not part of this version yet; unset it',
      'TROUPE_BREAKER_COOLDOWN_MS: circuit breakers are not part of this version yet; unset it',
    ]);
  });
});

describe('the port of a server with stdio', () => {
  const stdio = { path: 'stdio', flag: '--stdio', value: true };

  it('is none, wherever stdio was asked for', () => {
    expect(load({ flags: [stdio] })).toMatchObject({ port: null, stdio: true });
    expect(load({ environment: { TROUPE_STDIO: '1' } })).toMatchObject({ port: null, stdio: true });
    expect(load({ file: file({ stdio: true }) })).toMatchObject({ port: null, stdio: true });
    expect(load({ file: file({ stdio: true, port: null }) })).toMatchObject({ port: null, stdio: true });
    expect(load({ environment: { TROUPE_STDIO: '0' } })).toMatchObject({ port: 3141, stdio: false });
  });

  it('is the one that was asked for, wherever that was', () => {
    expect(load({ flags: [stdio, { path: 'port', flag: '--port', value: '0' }] }).port).toBe(0);
    expect(load({ flags: [stdio], environment: { TROUPE_PORT: '1001' } }).port).toBe(1001);
    expect(load({ flags: [stdio], file: file({ port: 1002 }) }).port).toBe(1002);
  });

  it('is no reason to take what is no configuration for one', () => {
    for (const input of [null, undefined, 'stdio', []]) expect(checkConfig(input)).toHaveProperty('issues');
  });
});

describe('a flag', () => {
  it.each([
    ['port', '--port', 'http', '--port http: must be a whole number from 0 to 65535'],
    ['port', '--port', '65536', '--port 65536: must be a whole number from 0 to 65535'],
    ['port', '--port', '-1', '--port -1: must be a whole number from 0 to 65535'],
    ['engine', '--engine', 'gpt', '--engine gpt: must be one of: echo, scripted, pi'],
    [
      'engine',
      '--engine',
      'acp',
      '--engine acp: is planned and not part of this version yet: use echo, scripted or pi',
    ],
    ['logLevel', '--log-level', 'loud', '--log-level loud: must be one of: debug, info, warn, error, fatal, silent'],
    ['dataDir', '--data-dir', '', '--data-dir : must be a path'],
    [
      'host',
      '--host',
      '0.0.0.0',
      '--host 0.0.0.0: would be reachable from other machines, which needs authentication, and that is not part of this version yet: use 127.0.0.1, ::1 or localhost',
    ],
  ])('%s that is wrong is refused by its name', (path, flag, value, problem) => {
    expect(problems({ flags: [{ path, flag, value }] })).toEqual([problem]);
  });
});

describe('the file', () => {
  it.each<[string, unknown, string]>([
    ['an unknown key', { prot: 1 }, 'prot in FILE: unknown key; the nearest known one is port'],
    [
      'an unknown key in a section',
      { limits: { sessionMax: 1 } },
      'limits.sessionMax in FILE: unknown key; the nearest known one is limits.sessionsMax',
    ],
    [
      'a key outside its section',
      { sessionsMax: 1 },
      'sessionsMax in FILE: unknown key; the nearest known one is limits.sessionsMax',
    ],
    [
      'an unknown section',
      { timeout: { shortMs: 1 } },
      'timeout in FILE: unknown key; the nearest known one is timeouts',
    ],
    [
      'a key that is none of the object',
      '{"__proto__": {"port": 1}}',
      '__proto__ in FILE: unknown key; the nearest known one is port',
    ],
    ['a number as text', { port: '80' }, 'port in FILE is "80": must be a whole number from 0 to 65535'],
    ['a broken number', { port: 1.5 }, 'port in FILE is 1.5: must be a whole number from 0 to 65535'],
    [
      'a null',
      { limits: { pendingMax: null } },
      'limits.pendingMax in FILE is null: must be a whole number from 1 to 10000000',
    ],
    [
      'no way in',
      { port: null },
      'port in FILE is null: leaves no way in: set stdio to true, or a port from 0 to 65535',
    ],
    ['a value for a section', { limits: 5 }, 'limits in FILE: must be an object'],
    ['a list for a section', { limits: [] }, 'limits in FILE: must be an object'],
    [
      'a nested value that is too small',
      { limits: { sessionsMax: 0 } },
      'limits.sessionsMax in FILE is 0: must be a whole number from 1 to 10000000',
    ],
    [
      'rate limiting',
      { rateLimit: { enabled: true } },
      'rateLimit.enabled in FILE is true: rate limiting is not part of this version yet: leave it false',
    ],
    [
      'more of rate limiting',
      { rateLimit: { light: 5 } },
      'rateLimit.light in FILE: rate limiting is not part of this version yet; remove the key',
    ],
    [
      'a volatile journal that nobody asked for',
      { journal: { kind: 'memory' } },
      'journal.kind in FILE is "memory": loses everything with the process: set journal.acceptVolatile to true if that is what you want',
    ],
    [
      'limits that contradict each other',
      { limits: { outgoingBytesMax: 1000, outgoingBytesCloseMax: 1000 } },
      'limits.outgoingBytesCloseMax in FILE is 1000: must be larger than limits.outgoingBytesMax (1000)',
    ],
    ['no object', '[]', '--config FILE: must hold a JSON object with the keys of "troupe config --print-default"'],
  ])('with %s is refused by the path of the key', (_, content, problem) => {
    const path = file(content);
    expect(problems({ file: path })).toEqual([problem.replace('FILE', path)]);
  });

  it.each(['breaker.failureThreshold', 'alerts.intervalMs', 'timeouts.uiRequestMs'])(
    'with %s of a later version is refused, because it would do nothing',
    (key) => {
      const content = key.split('.').reduceRight<unknown>((value, part) => ({ [part]: value }), 1);
      const [problem, ...more] = problems({ file: file(content) });
      expect(more).toEqual([]);
      expect(problem).toMatch(/ in .*: .* (is|are) not part of this version yet; remove the key$/);
      expect(key.startsWith(problem!.split(' in ')[0]!)).toBe(true);
    },
  );

  it('that is missing or no JSON is named, in one line', () => {
    expect(problems({ file: '/nowhere/troupe.json' })).toEqual([
      expect.stringMatching(/^--config \/nowhere\/troupe\.json: cannot be read \(ENOENT: .*\)$/),
    ]);
    const broken = file('{\n  "port": \n}');
    expect(problems({ environment: { TROUPE_CONFIG: broken } })).toEqual([
      expect.stringMatching(/^TROUPE_CONFIG \S+: is not valid JSON \([^\n]*\)$/),
    ]);
  });

  it('may begin with a byte order mark', () => {
    expect(load({ file: file('\uFEFF{"port": 7}') }).port).toBe(7);
  });

  it('with several mistakes gets a line for each', () => {
    expect(problems({ file: file({ port: -1, breaker: {}, limits: { pendingMax: 'x' } }) })).toHaveLength(3);
  });
});

describe('a configuration without files', () => {
  it('is checked in the same way', () => {
    const input: ConfigInput = { limits: { pendingMax: 5 }, journal: { kind: 'memory', acceptVolatile: true } };
    expect(checkConfig(input)).toMatchObject({ config: { limits: { pendingMax: 5, sessionsMax: 100_000 } } });
    expect(checkConfig({ prot: 1, limits: { x: 1 }, port: 'y' })).toEqual({
      issues: expect.arrayContaining([
        { path: 'prot', problem: 'is not a known key' },
        { path: 'limits.x', problem: 'is not a known key' },
        { path: 'port', problem: 'must be a whole number from 0 to 65535' },
      ]) as unknown,
    });
  });
});

describe('loopback', () => {
  it.each(['127.0.0.1', '127.1.2.3', '::1', '0:0:0:0:0:0:0:1', '::ffff:127.0.0.1', 'localhost', 'LOCALHOST'])(
    'is %s',
    (host) => {
      expect(isLoopback(host)).toBe(true);
    },
  );

  it.each([
    '0.0.0.0',
    '::',
    '128.0.0.1',
    '10.0.0.1',
    '::2',
    '::ffff:10.0.0.1',
    'example.org',
    'localhost.example.org',
    '',
    '[::1]',
    '127.1',
  ])('is not %s', (host) => {
    expect(isLoopback(host)).toBe(false);
  });
});

describe('the nearest name', () => {
  it('is the one with the fewest changes, in whatever section', () => {
    const near = (name: string): string => nearest(name, knownNames);
    expect(near('Port')).toBe('port');
    expect(near('dataDirectory')).toBe('dataDir');
    expect(near('datadir')).toBe('dataDir');
    expect(near('limits.frameBytes')).toBe('limits.frameBytesMax');
    expect(near('timeout.drainMs')).toBe('timeouts.drainMs');
    expect(near('heartbeat.interval')).toBe('heartbeat.intervalMs');
    expect(near('requeue')).toBe('recovery.requeue');
  });
});
