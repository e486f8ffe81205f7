import { describe, expect, it } from 'vitest';
import { closeCodes, reconnectHint } from '../../src/protocol/close-codes.ts';

describe('close codes', () => {
  it('use standard codes in their standard meaning', () => {
    expect(closeCodes).toEqual({
      goingAway: 1001,
      policyViolation: 1008,
      tooLarge: 1009,
      internalError: 1011,
      tryAgainLater: 1013,
    });
  });

  it.each([
    [1000, { reconnect: false }],
    [closeCodes.goingAway, { reconnect: true, afterMs: 1000 }],
    [1006, { reconnect: true, afterMs: 1000 }],
    [closeCodes.policyViolation, { reconnect: false }],
    [closeCodes.tooLarge, { reconnect: true, afterMs: 1000 }],
    [closeCodes.internalError, { reconnect: true, afterMs: 1000 }],
    [closeCodes.tryAgainLater, { reconnect: true, afterMs: 5000 }],
  ])('tell what to do after %i', (code, hint) => {
    expect(reconnectHint(code)).toEqual(hint);
  });

  it.each([
    [3999, { reconnect: true, afterMs: 1000 }],
    [4000, { reconnect: false }],
    [4099, { reconnect: false }],
    [4100, { reconnect: true, afterMs: 0 }],
    [4199, { reconnect: true, afterMs: 0 }],
    [4200, { reconnect: true, afterMs: 0 }],
    [4230, { reconnect: true, afterMs: 30_000 }],
    [4299, { reconnect: true, afterMs: 99_000 }],
    [4300, { reconnect: true, afterMs: 1000 }],
  ])('let the private code %i say by itself when to come back', (code, hint) => {
    expect(reconnectHint(code)).toEqual(hint);
  });
});
