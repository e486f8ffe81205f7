/** Which rules of redaction can be used, and how the others are refused: by name, before anything is stored. */
import { describe, expect, it } from 'vitest';
import { checkConfig } from '../../src/config.ts';
import { compileRules } from '../../src/protocol/redaction-rules.ts';

const problemsOf = (keys: string[], patterns: string[] = []) => compileRules({ keys, patterns }).problems;

describe('a rule', () => {
  it.each([
    'id',
    'sessionId',
    'SESSIONID',
    'commandId',
    'seq',
    'type',
    'success',
    'errorCode',
    'sessionVersion',
    'kind',
    '',
  ])('for the key %j is refused: entries are known by it', (key) => {
    expect(problemsOf(['token', key])).toEqual([
      { path: 'redaction.keys.1', problem: expect.stringContaining(JSON.stringify(key)) as string },
    ]);
  });

  it.each([
    ['(', /is no regular expression/],
    ['a*', /matches the empty text/],
    ['.+', /ids, types and codes/],
    ['\\d+', /ids, types and codes/],
    ['[a-z_]+', /ids, types and codes/],
    ['INTERRUPTED|sk-', /"INTERRUPTED"/],
    ['redacted', /may not be redacted/],
    ['(x+)+y', /takes too long/],
    ['^(([a-z])+.)+[A-Z]{3}$', /takes too long/],
    ['(x|xx)+y', /takes too long/],
    ['(?:q\\w*\\s?)+#', /takes too long/],
  ])('with the pattern %s is refused', (pattern, why) => {
    const found = problemsOf([], ['sk-[a-z]+', pattern]);
    expect(found).toEqual([{ path: 'redaction.patterns.1', problem: expect.stringMatching(why) as string }]);
    expect(found[0]!.problem).toContain(JSON.stringify(pattern));
    expect(found[0]!.problem).not.toContain('\n');
  });

  it.each([
    'sk-[A-Za-z0-9]{8,}',
    '[\\w.+-]+@[\\w-]+\\.[\\w.-]+',
    '\\b(?:\\d[ -]?){13,16}\\b',
    'AKIA[0-9A-Z]{16}',
    '-----BEGIN [A-Z ]+-----[^-]+-----END [A-Z ]+-----',
    'Bearer\\s+[\\w.~+/-]+=*',
    'hunter2',
  ])('as people write it is taken: %s', (pattern) => {
    expect(problemsOf(['password', 'api_key', 'message', 'name'], [pattern])).toEqual([]);
  });

  it('that is refused keeps the server from starting, with one line that names it', () => {
    expect(checkConfig({ redaction: { keys: ['id'], patterns: ['('] } })).toEqual({
      issues: [
        { path: 'redaction.keys.0', problem: expect.stringMatching(/^"id" is a field/) as string },
        { path: 'redaction.patterns.0', problem: expect.stringMatching(/^"\(" is no regular expression/) as string },
      ],
    });
    expect(checkConfig({ redaction: { keys: ['password'], patterns: ['sk-\\w+'] } })).toHaveProperty('config');
  });
});
