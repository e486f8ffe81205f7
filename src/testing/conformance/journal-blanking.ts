/** The part of the journals' suite that is about blanking: what goes, what stays, and the hash chain that goes on over it. */
import { describe, expect, it } from 'vitest';
import type { Entry, EntryDraft } from '../../../actors/entry.ts';
import type { Journal } from '../../../actors/ports.ts';
import { fingerprint } from '../../journal/fingerprint.ts';
import { chainOffence } from '../chain-offence.ts';
import { EntrySource, oneOfEach, renamed } from '../entry-source.ts';
import { commit, everything, onFreshData } from '../journal-under-test.ts';
import type { JournalSuite } from '../journal-under-test.ts';

/** What people said, in every field that can carry it. */
const SAID = 'what somebody said';
const command = JSON.stringify({ type: 'prompt', id: 'c-1', sessionId: 's', message: SAID, [SAID]: 1 });
const message = { role: 'user', content: [{ type: 'text', text: SAID, [SAID]: SAID }] };

const drafts: readonly EntryDraft[] = [
  { ...oneOfEach['command.accepted'], sessionId: 's', content: { command } },
  { ...oneOfEach['command.started'], sessionId: 's', content: { turn: { message: SAID } } },
  {
    ...oneOfEach['command.settled'],
    fingerprint: undefined as never,
    sessionId: 's',
    content: {
      command,
      error: SAID,
      data: { sessionId: 's', text: SAID },
      details: [SAID],
      events: [
        { type: 'session_changed', fields: { name: SAID } },
        { type: 'message_end', message },
      ],
      facts: [{ type: 'message.queued', mode: 'steer', message: { message: SAID } }],
    },
  },
  { ...oneOfEach['command.finished'], sessionId: 's', content: { resume: { [SAID]: SAID } } },
  { ...oneOfEach['session.event'], sessionId: 's', content: { event: { type: 'message_end', message } } },
  { ...oneOfEach['turn.released'], sessionId: 's', content: { resume: SAID } },
];

async function filled(journal: Journal): Promise<Entry[]> {
  await journal.open();
  const source = new EntrySource();
  const entries = drafts.flatMap((draft) => [
    source.next('session:s', draft),
    source.next('server', draft),
    source.next('session:other', { ...renamed('c-9'), content: { command } } as EntryDraft),
  ]);
  await commit(journal, entries);
  return entries;
}

async function saidIn(journal: Journal, lane: string): Promise<number> {
  return (await everything(journal, lane)).filter(({ entry }) => JSON.stringify(entry).includes(SAID)).length;
}

export function blanking(suite: JournalSuite): void {
  describe('blanking', () => {
    const fresh = onFreshData.bind(undefined, suite);

    it(
      'takes what was said and keeps identity, order, outcome, fingerprint and the chain, also over a new start',
      fresh(async (create) => {
        const first = create();
        const before = await filled(first);
        expect(await first.blank({ lane: 'session:s', through: before.length })).toEqual({
          entries: drafts.length,
          erased: true,
        });
        await first.close();
        const second = create();
        await second.open();
        await commit(second, new EntrySource(before).batch(3, 'session:s', 'server'));
        const stored = await everything(second);
        expect(chainOffence(stored)).toBeUndefined();
        expect(
          (await second.verify(stored.length)).problems.filter(({ problem }) => /hash|blanked/.test(problem)),
        ).toEqual([]);
        for (const [index, { entry, digest, fingerprint: print }] of stored.slice(0, before.length).entries()) {
          const { content, ...identity } = before[index]!;
          if (entry.lane !== 'session:s') {
            expect(entry).toEqual(before[index]);
            continue;
          }
          expect(JSON.stringify(entry)).not.toContain(SAID);
          const { content: left, ...kept } = entry;
          expect(kept).toEqual({ ...identity, blanked: true });
          expect(digest).toMatch(/^[0-9a-f]{64}$/);
          if ('command' in content) expect(print).toBe(fingerprint(content.command));
          if ('command' in left)
            expect(JSON.parse(left.command)).toMatchObject({ type: 'prompt', id: 'c-1', sessionId: 's' });
        }
      }),
    );

    it(
      'keeps how many events and facts there were, and of which type',
      fresh(async (create) => {
        const journal = create();
        const before = await filled(journal);
        await journal.blank({ lane: 'session:s', through: before.length });
        const settled = (await everything(journal, 'session:s'))[2]!.entry;
        expect(settled.content).toMatchObject({
          events: [
            { type: 'session_changed', fields: { name: '[redacted]' } },
            { type: 'message_end', message: { role: 'user', content: [{ type: 'text', text: '[redacted]' }] } },
          ],
          facts: [{ type: 'message.queued', mode: 'steer', message: null }],
          data: { sessionId: 's' },
        });
      }),
    );

    it(
      'stops at its bound, asks for a session where there is no lane, and does nothing the second time',
      fresh(async (create) => {
        const journal = create();
        const before = await filled(journal);
        expect(await journal.blank({ lane: 'session:s', through: 6 })).toMatchObject({ entries: 2 });
        expect(await saidIn(journal, 'session:s')).toBe(drafts.length - 2);
        expect(await journal.blank({ sessionId: 's', through: before.length })).toMatchObject({
          entries: 2 * drafts.length - 2,
        });
        expect(await saidIn(journal, 'server')).toBe(0);
        expect(await saidIn(journal, 'session:other')).toBe(drafts.length);
        expect(await journal.blank({ sessionId: 's', through: before.length })).toMatchObject({ entries: 0 });
        expect(await journal.blank({ lane: 'session:unknown', through: 99 })).toMatchObject({ entries: 0 });
      }),
    );

    it(
      'leaves what opens a session whole when it is told to',
      fresh(async (create) => {
        const journal = create();
        await journal.open();
        const opened = {
          type: 'session.opened',
          sessionId: 's',
          epoch: 'e',
          owner: 'local',
          engine: 'echo',
          input: { said: SAID },
          name: SAID,
          cwd: null,
          labels: null,
          machineVersion: '1',
        } as const;
        const content = { command, facts: [opened] };
        const source = new EntrySource();
        await commit(journal, [
          source.next('session:s', { ...oneOfEach['command.settled'], content }),
          source.next('session:s', drafts[4]),
        ]);
        expect(await journal.blank({ through: 2, keepOpenings: true })).toMatchObject({ entries: 1 });
        expect(await saidIn(journal, 'session:s')).toBe(1);
        expect(await journal.blank({ through: 2 })).toMatchObject({ entries: 1 });
        expect((await journal.read(1))?.entry.content).toMatchObject({
          facts: [{ ...opened, input: null, name: '[redacted]' }],
        });
      }),
    );

    it(
      'goes on while entries are appended, and is refused while the journal is closed',
      fresh(async (create) => {
        const journal = create();
        const before = await filled(journal);
        const source = new EntrySource(before);
        const appended = [1, 2, 3].map((count) => commit(journal, source.batch(count, 'session:s', 'server')));
        const blanked = journal.blank({ lane: 'session:s', through: before.length });
        await Promise.all([...appended, blanked, commit(journal, source.batch(2, 'session:s'))]);
        expect(await saidIn(journal, 'session:s')).toBe(0);
        expect(chainOffence(await everything(journal))).toBeUndefined();
        await journal.close();
        await expect(journal.blank({ through: 1 })).rejects.toThrow('not open');
      }),
    );
  });
}
