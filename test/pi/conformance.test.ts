import { afterAll } from 'vitest';
import { createPiEngine } from '../../src/engines/pi.ts';
import { engineConformance } from '../../src/testing/conformance/engine.ts';
import { startEndpoint } from './openai-endpoint.ts';
import { makeHome } from './pi-home.ts';

const endpoint = await startEndpoint();
const home = makeHome(endpoint.url);
afterAll(async () => {
  await endpoint.close();
  home.remove();
});

const sessionInput = null;

engineConformance({
  name: 'pi',
  create: () => createPiEngine({ dataDir: home.dataDir, agentDir: home.agentDir }),
  slow: { sessionInput, input: { message: 'words 20' } },
  endless: { sessionInput, input: { message: 'hang' } },
  wrong: [
    { input: { modell: 'test' }, names: 'modell: unknown key' },
    { input: { provider: 'local' }, names: 'A provider alone names no model' },
    { input: { thinkingLevel: 'huge' }, names: 'thinkingLevel' },
  ],
  does: {
    fail: { sessionInput, input: { message: 'http 500' }, kind: 'provider' },
    remember: {
      seen: () => endpoint.requests.at(-1)!.messages.filter(({ role }) => role !== 'system').length,
    },
  },
});
