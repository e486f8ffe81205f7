import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { Frames } from '../../actors/ports.ts';
import { frames } from '../../src/protocol/frames.ts';
import type { FrameCommand, FrameOutcome } from '../../src/protocol/frames.ts';
import {
  acceptedFrame,
  eventFrame,
  finishedFrame,
  noticeFrame,
  outgoingFrame,
  responseFrame,
  startedFrame,
} from '../../src/protocol/outgoing.ts';

const plain: FrameCommand = {
  commandId: 'c1',
  commandType: 'ping',
  sessionId: undefined,
  dependsOn: undefined,
  ifSessionVersion: undefined,
  idempotencyKey: undefined,
};
const full: FrameCommand = {
  commandId: 'c2',
  commandType: 'set_session_name',
  sessionId: 's.1',
  dependsOn: ['c1', 'c0'],
  ifSessionVersion: 3,
  idempotencyKey: 'k',
};
const failed: FrameOutcome = { success: false, errorCode: 'COMMAND_TIMEOUT', error: 'late', timedOut: true };

/** Strings that break a writer who forgets to escape. */
const nastyText = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.constantFrom('"', '\\', '\n', '\u0000', '\u2028', '\ud800', 'a"}', '</script>', 'ünï'),
  fc.array(fc.integer({ min: 0, max: 0xffff })).map((units) => String.fromCharCode(...units)),
);
const command: fc.Arbitrary<FrameCommand> = fc.record({
  commandId: nastyText.filter((id) => id !== ''),
  commandType: nastyText.filter((type) => type !== ''),
  sessionId: fc.option(nastyText, { nil: undefined }),
  dependsOn: fc.option(fc.array(nastyText, { maxLength: 4 }), { nil: undefined }),
  ifSessionVersion: fc.option(fc.nat(), { nil: undefined }),
  idempotencyKey: fc.option(nastyText, { nil: undefined }),
});
const outcome: fc.Arbitrary<FrameOutcome> = fc.oneof(
  fc.record({ success: fc.constant(true as const), data: fc.jsonValue() }),
  fc.constant({ success: true as const }),
  fc.record({ success: fc.constant(false as const), errorCode: fc.constant('ENGINE_FAILED'), error: nastyText }),
  fc.constant(failed),
);

describe('outgoing frames', () => {
  it('satisfy the port of the runtime', () => {
    const port: Frames = frames;
    expect(Object.keys(port)).toEqual(['accepted', 'started', 'finished', 'response', 'event', 'notice']);
  });

  it('show a command without options with an empty list of dependencies and nothing else', () => {
    expect(frames.accepted(plain)).toBe(
      '{"type":"command_accepted","data":{"commandId":"c1","commandType":"ping","dependsOn":[]}}',
    );
    expect(frames.started(plain)).toBe(frames.accepted(plain).replace('accepted', 'started'));
  });

  it('show every field that a command has', () => {
    const identity =
      '"commandId":"c2","commandType":"set_session_name","sessionId":"s.1","dependsOn":["c1","c0"],' +
      '"ifSessionVersion":3,"idempotencyKey":"k"';
    expect(frames.accepted(full)).toBe(`{"type":"command_accepted","data":{${identity}}}`);
    expect(frames.finished(full, { success: true }, 4, true)).toBe(
      `{"type":"command_finished","data":{${identity},"success":true,"sessionVersion":4,"replayed":true}}`,
    );
    expect(frames.finished(full, failed, undefined, false)).toBe(
      `{"type":"command_finished","data":{${identity},"success":false,"error":"late","errorCode":"COMMAND_TIMEOUT","timedOut":true}}`,
    );
  });

  it('leave the data of an outcome to the response', () => {
    const outcome = { success: true, data: { a: 1 } } as const;
    expect(frames.finished(plain, outcome, undefined, false)).not.toContain('"a"');
    expect(JSON.parse(frames.response('ping', 'c1', outcome, undefined))).toEqual({
      type: 'response',
      id: 'c1',
      command: 'ping',
      success: true,
      data: { a: 1 },
    });
  });

  it('tell null data from no data', () => {
    expect(frames.response('ping', 'i', { success: true, data: null }, undefined)).toContain('"data":null');
    expect(frames.response('ping', 'i', { success: true }, undefined)).not.toContain('data');
  });

  it.each([['text'], [7], [null], [['a', { b: 1 }]], [false], [{ deep: [] }]])(
    'echo the id %j as it was sent',
    (id) => {
      const text = frames.response('unknown', id, failed, undefined);
      expect((JSON.parse(text) as { id: unknown }).id).toEqual(id);
    },
  );

  it('have no id in a response to a command that had none', () => {
    expect(frames.response('ping', undefined, { success: true }, undefined)).toBe(
      '{"type":"response","command":"ping","success":true}',
    );
  });

  it('carry the details of a failure in its response', () => {
    const refusal = { success: false, errorCode: 'FORBIDDEN', error: 'no', details: { scope: 'drive' } } as const;
    const parsed = responseFrame.parse(JSON.parse(frames.response('prompt', 'i', refusal, undefined)));
    expect(parsed).toMatchObject({ details: { scope: 'drive' }, errorCode: 'FORBIDDEN' });
  });

  it('mark ephemeral events, and durable ones not', () => {
    const event = { type: 'message_update' };
    expect(frames.event('s', 'e', 4, event, true)).toBe(
      '{"type":"event","sessionId":"s","event":{"type":"message_update"},"epoch":"e","seq":4,"ephemeral":true}',
    );
    expect(eventFrame.parse(JSON.parse(frames.event('s', 'e', 4, event, false)))).not.toHaveProperty('ephemeral');
  });

  it('put the data of every other frame into data', () => {
    const frame = frames.notice('session_deleted', { sessionId: 'a' });
    expect(noticeFrame.parse(JSON.parse(frame))).toEqual({ type: 'session_deleted', data: { sessionId: 'a' } });
  });

  it('are valid, whatever the texts in them are', () => {
    fc.assert(
      fc.property(
        command,
        outcome,
        fc.option(fc.nat(), { nil: undefined }),
        fc.option(fc.constantFrom('replayed', 'stale', 'undurable'), { nil: undefined }),
        (c, o, version, mark) => {
          const replayed = mark === 'replayed';
          const marks = {
            replayed: { replayed: true },
            stale: { stale: true },
            undurable: { durable: false },
          } as const;
          const texts = [frames.accepted(c), frames.started(c), frames.finished(c, o, version, replayed)];
          const response = frames.response(c.commandType, c.commandId, o, version, mark);
          const [accepted, started, finished] = texts.map((text): unknown => JSON.parse(text));
          const identity = { ...c, dependsOn: c.dependsOn ?? [] };
          expect(acceptedFrame.parse(accepted).data).toEqual(defined(identity));
          expect(startedFrame.parse(started).data).toEqual(defined(identity));
          const { data: _, ...told } = defined(o);
          expect(finishedFrame.parse(finished).data).toEqual(
            defined({ ...identity, ...told, sessionVersion: version, replayed: replayed || undefined }),
          );
          const parsed: unknown = JSON.parse(response);
          const rest = { sessionVersion: version, ...(mark === undefined ? {} : marks[mark]) };
          expect(responseFrame.parse(parsed)).toEqual(
            JSON.parse(JSON.stringify({ type: 'response', id: c.commandId, command: c.commandType, ...o, ...rest })),
          );
          for (const text of [...texts, response]) expect(outgoingFrame.safeParse(JSON.parse(text)).success).toBe(true);
        },
      ),
      { numRuns: 500 },
    );
  });

  it('are well-formed text, lone surrogates included', () => {
    fc.assert(
      fc.property(nastyText, (text) => {
        const frame = frames.response(text, text, { ...failed, error: text }, undefined);
        expect(new TextDecoder().decode(new TextEncoder().encode(frame))).toBe(frame);
        expect(frame).not.toContain('\n');
        expect(JSON.parse(frame)).toMatchObject({ command: text, id: text, error: text });
      }),
    );
  });
});

/** Without the fields that are not there on the wire. */
function defined(value: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(value).filter(([, field]) => field !== undefined));
}
