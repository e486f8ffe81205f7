import { describe, expect, it } from 'vitest';
import { EventGrammar, grammarOffence } from '../../src/testing/event-grammar.ts';

/** `tool_execution_end:a` stands for the event of tool call a. */
const events = (text: string): { type: string; toolCallId: string }[] =>
  text.split(' ').map((word) => ({ type: word.split(':')[0] ?? '', toolCallId: word.split(':')[1] ?? '' }));

const message = 'message_start message_update message_end';
const run = (inner: string): string => `agent_start turn_start ${inner} turn_end agent_end`;

describe('the grammar of a run', () => {
  it.each([
    ['turn_start', 'event 0: turn_start before agent_start'],
    ['agent_start agent_start', 'event 1: agent_start outside of a turn'],
    ['agent_start message_start', 'event 1: message_start outside of a turn'],
    ['agent_start turn_start message_update', 'event 2: message_update inside a turn'],
    ['agent_start turn_start message_start message_start', 'event 3: message_start inside a message'],
    ['agent_start turn_start message_start turn_end', 'event 3: turn_end inside a message'],
    ['agent_start turn_start agent_end', 'event 2: agent_end inside a turn'],
    ['agent_start turn_start tool_execution_end:a', 'event 2: tool_execution_end of a, which does not run'],
    ['agent_start turn_start tool_execution_update:a', 'event 2: tool_execution_update of a, which does not run'],
    [
      'agent_start turn_start tool_execution_start:a tool_execution_start:a',
      'event 3: tool_execution_start of a, which runs already',
    ],
    ['agent_start turn_start tool_execution_start:a turn_end', 'event 3: turn_end while a tool runs: a'],
    ['agent_start tool_execution_start:a', 'event 1: tool_execution_start outside of a turn'],
    ['agent_start agent_end agent_start', 'event 2: agent_start after agent_end'],
    ['agent_start agent_end status', 'event 2: status after agent_end'],
    ['status', 'event 0: status before agent_start'],
  ])('refuses %s', (text, offence) => {
    expect(grammarOffence(events(text))).toBe(offence);
  });

  it.each([
    'agent_start agent_end',
    run(message),
    run(`${message} ${message}`),
    `agent_start turn_start ${message} turn_end turn_start ${message} turn_end agent_end`,
    run(`${message} tool_execution_start:a tool_execution_update:a tool_execution_end:a ${message}`),
    run(
      'tool_execution_start:a tool_execution_start:b tool_execution_end:b message_start message_end tool_execution_end:a',
    ),
    run('status message_start notify message_end'),
  ])('accepts %s', (text) => {
    const grammar = new EventGrammar();
    for (const event of events(text)) expect(grammar.accept(event)).toBeUndefined();
    expect(grammar.complete).toBe(true);
  });

  it('is not complete while something is open', () => {
    const grammar = new EventGrammar();
    const open = events(`agent_start turn_start ${message} turn_end`).map((event) => {
      grammar.accept(event);
      return grammar.complete;
    });
    expect(open).not.toContain(true);
  });

  it('goes on where it was after a wrong event', () => {
    const grammar = new EventGrammar();
    for (const event of events('agent_start message_start')) grammar.accept(event);
    expect(grammar.accept({ type: 'turn_start' })).toBeUndefined();
  });
});
