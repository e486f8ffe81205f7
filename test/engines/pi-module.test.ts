import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { createPiEngine } from '../../src/engines/pi.ts';
import { loadPi } from '../../src/engines/pi/module.ts';
import { runTurn } from '../../src/testing/turn-under-test.ts';

const INSTALL = 'npm install @earendil-works/pi-coding-agent@0.87.1';

/** What the adapter takes from the SDK, and no more. */
const SDK = `
  export const getAgentDir = () => '/nowhere';
  export function createAgentSession() {}
  export class ModelRuntime { static create = async () => new ModelRuntime(); getError() {} }
  export class SessionManager {}
  export class SettingsManager {}
  export class DefaultResourceLoader {}
`;

let place: string;

beforeEach(() => {
  place = mkdtempSync(join(tmpdir(), 'troupe-pi-module-'));
  vi.stubEnv('TROUPE_PI_PATH', undefined);
});
afterEach(() => rmSync(place, { recursive: true, force: true }));

function install({ version = '0.87.1', node = '>=22.19.0', source = SDK } = {}): string {
  const folder = join(place, 'node_modules', '@earendil-works', 'pi-coding-agent');
  mkdirSync(join(folder, 'dist'), { recursive: true });
  const exports = { '.': { types: './dist/index.d.ts', import: './dist/index.js' } };
  const manifest = { name: '@earendil-works/pi-coding-agent', version, type: 'module', engines: { node }, exports };
  writeFileSync(join(folder, 'package.json'), JSON.stringify(manifest));
  writeFileSync(join(folder, 'dist', 'index.js'), source);
  return folder;
}

const problem = async (promise: Promise<unknown>): Promise<string> => {
  const error = await promise.then(
    () => new Error('it did not reject'),
    (reason: Error) => reason,
  );
  expect(error.message).not.toContain('\n');
  return error.message;
};

describe('loading pi', () => {
  it('says what is missing, where it looked and how to install it', async () => {
    const message = await problem(loadPi([place]));
    expect(message).toContain('@earendil-works/pi-coding-agent (tested: 0.87.x)');
    expect(message).toContain(place);
    expect(message).toContain(INSTALL);
    expect(message).toContain('TROUPE_PI_PATH');
  });

  it.each(['0.86.9', '0.88.0', '1.0.0', '0.870.0'])('refuses pi %s, which is not tested', async (version) => {
    const folder = install({ version });
    expect(await problem(loadPi([place]))).toBe(
      `pi ${version} in ${folder} is not of the tested range 0.87.x: ${INSTALL}`,
    );
  });

  it.each(['22.18.9', '20.20.2', '22.9.0'])('refuses Node %s, which is too old for it', async (nodeVersion) => {
    install();
    const message = `pi 0.87.1 needs Node 22.19.0 or later, this is ${nodeVersion}`;
    expect(await problem(loadPi([place], nodeVersion))).toBe(message);
  });

  it.each(['22.19.0', '22.20.0', '24.0.0'])('takes Node %s', async (nodeVersion) => {
    install();
    await expect(loadPi([place], nodeVersion)).resolves.toBeDefined();
  });

  it('says that an installation is broken', async () => {
    const folder = install({ source: 'throw new Error("half of it\\nis gone")' });
    const message = await problem(loadPi([place]));
    expect(message).toBe(`pi in ${folder} does not load (half of it): install it again, ${INSTALL}`);
  });

  it('says what an installation lacks', async () => {
    install({ source: SDK.replace('class SessionManager', 'class Elsewhere') });
    expect(await problem(loadPi([place]))).toContain('it has no SessionManager');
  });

  it('finds it in the first place that has it, from inside node_modules too', async () => {
    const folder = install();
    const pi = await loadPi([join(place, 'empty'), folder]);
    expect(pi.getAgentDir()).toBe('/nowhere');
  });
});

describe('the engine pi', () => {
  it('is not ready before it is prepared; a turn loads it, or fails with what is missing', async () => {
    const engine = createPiEngine({ dataDir: place, modulePath: place });
    expect(engine.ready).toBe(false);
    const result = await runTurn(engine).finish();
    expect(result).toMatchObject({ status: 'failed', kind: 'user', errorCode: 'ENGINE_UNAVAILABLE' });
    expect(result).toHaveProperty('message', expect.stringContaining(INSTALL));
    install();
    await runTurn(engine, { cwd: '/gone' }).finish();
    expect(engine.ready).toBe(true);
  });

  it('looks in TROUPE_PI_PATH, and again after what was missing has been installed', async () => {
    vi.stubEnv('TROUPE_PI_PATH', place);
    const engine = createPiEngine({ dataDir: place });
    expect(await problem(engine.prepare())).toContain(place);
    expect(engine.ready).toBe(false);
    install();
    await Promise.all([engine.prepare(), engine.prepare()]);
    expect(engine.ready).toBe(true);
  });

  it('says what is wrong with pi’s configuration', async () => {
    install({ source: SDK.replace('getError() {}', "getError() { return 'models.json: no JSON\\nat line 1'; }") });
    const engine = createPiEngine({ dataDir: place, agentDir: '/home/agent', modulePath: place });
    expect(await problem(engine.prepare())).toBe('pi’s configuration in /home/agent: models.json: no JSON');
  });

  it.each([
    [{ provider: 'local' }, 'model: A provider alone names no model'],
    [{ model: '' }, 'model: Too small'],
    [{ tools: ['rm'] }, 'tools[0]: Invalid option'],
    [{ thinkingLevel: 'max' }, 'thinkingLevel: Invalid option'],
    [{ apiKey: 'secret' }, 'apiKey: unknown key'],
  ])('refuses the input %j', (input, text) => {
    const said = createPiEngine({ dataDir: place }).checkInput(input);
    expect(said).toContain(text);
    expect(said).not.toContain('secret');
  });

  it.each([null, {}, { model: 'm' }, { provider: 'p', model: 'm', thinkingLevel: 'off', tools: ['read'] }])(
    'accepts the input %j',
    (input) => {
      expect(createPiEngine({ dataDir: place }).checkInput(input)).toBeUndefined();
    },
  );
});
