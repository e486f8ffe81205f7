import { describe, expect, it } from 'vitest';
import { abort, followUp, prompt, steer } from '../../src/commands/turn.ts';
import { decide } from './views.ts';

const images = [{ type: 'image', data: 'AA==', mimeType: 'image/png' }];

describe('prompt', () => {
  it('hands the engine the message, and nothing of the envelope', () => {
    const fields = { id: 'i', sessionId: 's1', respond: 'accepted', traceparent: 't', zzz: 1 } as const;
    expect(decide(prompt, { ...fields, message: 'hello' })).toEqual({ do: 'turn', input: { message: 'hello' } });
  });

  it('hands on images', () => {
    expect(decide(prompt, { message: 'look', images })).toEqual({ do: 'turn', input: { message: 'look', images } });
  });
});

describe.each([
  ['steer', steer, 'steer'],
  ['follow_up', followUp, 'followUp'],
] as const)('%s', (_type, command, mode) => {
  it('queues its message for the running turn or the next one', () => {
    expect(decide(command, { message: 'wait', images })).toEqual({
      do: 'settle',
      outcome: { success: true },
      facts: [{ type: 'message.queued', mode, message: { message: 'wait', images } }],
    });
    expect(decide(command, { message: 'wait' })).toMatchObject({ facts: [{ message: { message: 'wait' } }] });
  });
});

describe('abort', () => {
  it('interrupts, whatever a view shows: a prompt may be waiting that none shows yet', () => {
    expect(decide(abort)).toEqual({ do: 'interrupt' });
  });
});
