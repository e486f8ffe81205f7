import { createScriptedEngine } from '../../src/engines/scripted.ts';
import { engineConformance } from '../../src/testing/conformance/engine.ts';

const input = { message: 'go' };

engineConformance({
  name: 'scripted',
  create: createScriptedEngine,
  slow: { sessionInput: { turns: [[{ text: 'one two' }, { delayMs: 50 }, { text: 'three' }]] }, input },
  endless: { sessionInput: { turns: [[{ text: 'one two' }, { hang: true }]] }, input },
  wrong: [
    { input: null, names: 'turns' },
    { input: { turns: [[{ delayMs: 'soon' }]] }, names: 'turns[0][0].delayMs' },
    { input: { turns: [[]], turn: [] }, names: 'turn: unknown key' },
  ],
  does: {
    fail: { sessionInput: { turns: [[{ text: 'one' }, { fail: 'no' }]] }, input, kind: 'provider' },
    effects: { sessionInput: { turns: [[{ tool: { name: 'write' } }, { tool: { name: 'write' } }]] }, input },
  },
});
