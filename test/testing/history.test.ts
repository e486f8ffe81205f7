import { describe, expect, it } from 'vitest';
import { commandMachine, connectionMachine, laneMachine, turnMachine } from '../../machines/index.ts';
import { playHistory } from '../../src/testing/history.ts';

describe('a recorded history', () => {
  it('leads to the snapshot that the chart has at its end', () => {
    const snapshot = playHistory(commandMachine, [
      { type: 'command.admitted' },
      { type: 'command.started' },
      { type: 'command.succeeded' },
    ]);
    expect(snapshot.status).toBe('done');
    expect(snapshot.value).toBe('completed');
  });

  it('starts from an input and performs no effect', () => {
    const snapshot = playHistory(turnMachine, [{ type: 'turn.interrupted' }], { commandId: 'c-1', attempt: 1 });
    expect(snapshot.value).toBe('releasing');
  });

  it('is refused at the first event that the chart does not take, with a sentence that says where it stood', () => {
    const events = [{ type: 'work.queued' }, { type: 'work.started' }, { type: 'work.started' }] as const;
    expect(() => playHistory(laneMachine, events, { depthMax: 2 })).toThrow(
      `The chart 'lane' does not take event 3 of 3, {"type":"work.started"}: after work.queued, work.started ` +
        `it is in 'busy' with {"queued":0,"running":1,"depthMax":2}.`,
    );
  });

  it('is refused when it goes on after a final state, even with what the whole chart would take', () => {
    const events = [{ type: 'command.rejected' }, { type: 'command.admitted' }] as const;
    expect(() => playHistory(commandMachine, events)).toThrow(`after command.rejected it is in 'rejected'`);
    const twice = [{ type: 'transport.closed' }, { type: 'transport.closed' }] as const;
    expect(() => playHistory(connectionMachine, twice)).toThrow(`after transport.closed it is in 'closed'`);
  });

  it('is refused at its start', () => {
    expect(() => playHistory(commandMachine, [{ type: 'command.succeeded' }])).toThrow(
      `event 1 of 1, {"type":"command.succeeded"}: at its start it is in 'received'`,
    );
  });
});
