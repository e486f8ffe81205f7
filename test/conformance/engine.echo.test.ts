import { createEchoEngine } from '../../src/engines/echo.ts';
import { engineConformance } from '../../src/testing/conformance/engine.ts';

engineConformance({
  name: 'echo',
  create: createEchoEngine,
  slow: { sessionInput: { delayMs: 10 }, input: { message: 'one two three' } },
  endless: { sessionInput: { delayMs: 1_000_000 }, input: { message: 'one two three' } },
  wrong: [
    { input: { delayMS: 5 }, names: 'delayMS' },
    { input: { delayMs: 'soon' }, names: 'delayMs' },
    { input: [], names: 'expected object' },
  ],
  does: {},
});
