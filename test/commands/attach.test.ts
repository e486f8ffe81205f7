import { describe, expect, it } from 'vitest';
import { attachSession, detachSession, switchSession } from '../../src/commands/attach.ts';
import { decide, serverView, sessionView } from './views.ts';

const sessionInfo = {
  sessionId: 's1',
  thinkingLevel: 'off',
  isStreaming: false,
  messageCount: 0,
  createdAt: '2026-01-02T03:04:05.006Z',
};

describe('attach_session', () => {
  it('answers with the session, and where its events go on', () => {
    expect(decide(attachSession)).toEqual({
      do: 'settle',
      outcome: { success: true, data: { sessionInfo, epoch: 'e1', watermark: 7, pendingUiRequests: [] } },
      effects: [{ type: 'attach', sessionId: 's1', deltas: 'compact', after: 'live' }],
      unchanged: true,
    });
  });

  it('shows what a running turn has said so far', () => {
    const turn = { commandId: 'c', text: 'half a sen', truncated: true } as const;
    expect(decide(attachSession, {}, sessionView(), serverView({ turn }))).toMatchObject({
      outcome: { data: { turn: { commandId: 'c', text: 'half a sen', truncated: true } } },
    });
  });

  it.each(['full', 'compact', 'none'] as const)('sends %s deltas when asked to', (deltas) => {
    expect(decide(attachSession, { deltas, after: 'live' })).toMatchObject({ effects: [{ deltas }] });
  });

  it.each([['start'], [{ epoch: 'e1', seq: 3 }]])('goes on after %j', (after) => {
    expect(decide(attachSession, { after, role: 'driver' })).toMatchObject({ effects: [{ after, role: 'driver' }] });
  });
});

describe('switch_session', () => {
  it('attaches with full deltas and answers as the base does', () => {
    expect(decide(switchSession)).toEqual({
      do: 'settle',
      outcome: { success: true, data: { sessionInfo } },
      effects: [{ type: 'attach', sessionId: 's1', deltas: 'full', after: 'live' }],
      unchanged: true,
    });
  });
});

describe('detach_session', () => {
  it('ends what an attach began, and changes no session', () => {
    expect(decide(detachSession)).toEqual({
      do: 'settle',
      outcome: { success: true, data: { detached: true } },
      effects: [{ type: 'detach', sessionId: 's1' }],
      unchanged: true,
    });
  });
});
