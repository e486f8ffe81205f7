/**
 * What the servers went through whose journals are kept here. A scenario is never changed once a journal of it is kept: what a
 * later release can do goes into a scenario of its own.
 */
import type { ConfigInput } from '../../src/config.ts';
import type { CommandFrame, Line } from './line.ts';

/** What a scenario may do beside sending commands. */
export interface Stage {
  readonly line: Line;
  /** The first `times` outcomes that a command of this session comes to can't be made. */
  breakOutcomes(sessionId: string, times: number): void;
  /** The thread that writes the journal is gone; the server goes on with another one. */
  loseJournalThread(): Promise<void>;
}

export interface Scenario {
  readonly config?: ConfigInput;
  /** One process after the other on the same data. */
  readonly lives: readonly {
    readonly end: 'stop' | 'kill';
    readonly play: (stage: Stage) => Promise<void>;
  }[];
}

const create = (id: string, sessionId: string, more: object = {}): CommandFrame => ({
  type: 'create_session',
  id,
  sessionId,
  ...more,
});
const name = (id: string, sessionId: string, text: string, more: object = {}): CommandFrame => ({
  type: 'set_session_name',
  id,
  sessionId,
  name: text,
  ...more,
});
const prompt = (id: string, sessionId: string, message: string, more: object = {}): CommandFrame => ({
  type: 'prompt',
  id,
  sessionId,
  message,
  ...more,
});
const attach = (id: string, sessionId: string): CommandFrame => ({ type: 'attach_session', id, sessionId });

const scripted = (...turns: readonly (readonly object[])[]) => ({ engine: 'scripted', input: { turns } });

/** Everything that a server does in a good day, and a stop in order. */
const conversation: Scenario = {
  config: { timeouts: { longMs: 1_500, dependencyMs: 400, drainMs: 500 }, limits: { mailboxDepthMax: 4 } },
  lives: [
    {
      end: 'stop',
      async play({ line }) {
        await line.ask(create('create a', 'a', { name: 'the first', labels: { team: 'blue' } }));
        await line.ask(name('name', 'a', 'renamed'), name('version', 'a', 'no', { ifSessionVersion: 9 }));
        await line.ask(create('exists', 'a'), { type: 'abort', id: 'nothing', sessionId: 'a' });
        await line.ask(name('nowhere', 'nowhere', 'x'), prompt('größe 🎭', 'a', 'ein Wort, zwei Wörter, 三'));
        await line.ask(name('keyed', 'a', 'with a key', { idempotencyKey: 'schlüssel' }));
        await line.ask(name('keyed again', 'a', 'with a key', { idempotencyKey: 'schlüssel' }));
        await line.ask(
          { type: 'steer', id: 'early steer', sessionId: 'a', message: 'before the turn' },
          { type: 'follow_up', id: 'early follow', sessionId: 'a', message: 'and after it' },
        );
        await line.ask(
          prompt('with queued', 'a', 'go', { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad-01' }),
        );

        const tool = { tool: { name: 'search', args: { for: 'x' }, result: 'found', delayMs: 30 } };
        await line.ask(
          create(
            'create tools',
            'tools',
            scripted([{ text: 'look' }, tool, { usage: { input: 7, output: 3 } }, { text: 'done' }]),
          ),
          attach('attach tools', 'tools'),
        );
        line.send(prompt('tools', 'tools', 'find it'));
        await line.event('tools', 'tool_execution_start');
        await line.ask(
          { type: 'steer', id: 'steer', sessionId: 'tools', message: 'faster' },
          { type: 'follow_up', id: 'follow', sessionId: 'tools', message: 'one more' },
        );
        await line.response('tools');

        await line.ask(
          create(
            'create fails',
            'fails',
            scripted(
              [{ text: 'so far' }, { fail: 'no credit' }],
              [{ throw: 'a bug' }],
              [{ fail: 'wrong', kind: 'user' }],
            ),
          ),
        );
        await line.ask(prompt('fail', 'fails', '1'), prompt('throw', 'fails', '2'), prompt('user fault', 'fails', '3'));
        await line.ask(
          name('dependent', 'a', 'in order', { dependsOn: ['name'] }),
          name('in vain', 'a', 'never', { dependsOn: ['fail'] }),
          name('unknown dependency', 'a', 'never', { dependsOn: ['nobody'] }),
        );

        await line.ask(
          create('create hang', 'hang', scripted([{ text: 'begun' }, { hang: true }])),
          attach('attach hang', 'hang'),
        );
        line.send(prompt('aborted', 'hang', 'wait'));
        await line.event('hang', 'message_end');
        line.send(
          name('needs it', 'hang', 'never', { dependsOn: ['aborted'] }),
          name('behind', 'hang', 'behind a turn'),
        );
        await line.ask({ type: 'abort', id: 'abort', sessionId: 'hang' });
        await Promise.all(['aborted', 'needs it', 'behind'].map((id) => line.response(id)));
        await line.ask(
          prompt('timed out', 'hang', 'wait'),
          name('queued too long', 'hang', 'too late'),
          name('waits', 'a', 'too late', { dependsOn: ['timed out'] }),
        );

        await line.ask(
          create('create twice', 'twice.1'),
          name('old', 'twice.1', 'old'),
          prompt('old words', 'twice.1', 'old'),
        );
        await line.ask({ type: 'delete_session', id: 'delete', sessionId: 'twice.1' });
        await line.ask(create('create again', 'twice.1'), name('new', 'twice.1', 'new'));
        await line.ask(create('create gone', 'gone'), prompt('last words', 'gone', 'bye'));
        await line.ask({ type: 'delete_session', id: 'delete gone', sessionId: 'gone' });
      },
    },
    {
      end: 'stop',
      async play({ line }) {
        await line.ask(name('second boot', 'a', 'still there'), prompt('second turn', 'a', 'again'));
      },
    },
  ],
};

/** Two processes killed in the middle of turns; the second one had classified what the first one left behind. */
const killed: Scenario = {
  lives: [
    {
      end: 'kill',
      async play({ line }) {
        await line.ask(create('create s', 's', { input: { delayMs: 20 } }), attach('attach s', 's'));
        line.send(prompt('cut', 's', 'word '.repeat(200)), name('renamed', 's', 'after the crash'));
        await line.event('s', 'message_update');
        line.send(
          { type: 'steer', id: 'aside', sessionId: 's', message: 'never said', dependsOn: ['cut'] },
          prompt('dependent', 's', 'never said', { dependsOn: ['cut'] }),
        );
        await line.step('accepted', 'dependent');
      },
    },
    {
      end: 'kill',
      async play({ line }) {
        await line.ask(name('between', 's', 'between two crashes'));
        const tool = { tool: { name: 'search', args: { für: 'π' }, delayMs: 600_000 } };
        await line.ask(create('create t', 't', scripted([{ text: 'looking' }, tool], [{ text: 'done' }])));
        await line.ask(attach('attach t', 't'), prompt('words', 's', 'two words'));
        line.send(prompt('im Flug ✈', 't', 'look'));
        await line.event('t', 'tool_execution_start');
        line.send(
          name('waits', 't', 'behind the turn'),
          prompt('queued', 't', 'go on', { ifSessionVersion: 1 }),
          prompt('outdated', 't', 'never said', { ifSessionVersion: 1 }),
          name('needs it', 's', 'never', { dependsOn: ['im Flug ✈'] }),
          { type: 'follow_up', id: 'afterwards', sessionId: 't', message: 'never', dependsOn: ['im Flug ✈'] },
        );
        await line.step('accepted', 'afterwards');
      },
    },
  ],
};

/** Parts of a server that fail while the process goes on. */
const rebuilt: Scenario = {
  config: { timeouts: { drainMs: 300 } },
  lives: [
    {
      end: 'stop',
      async play({ line, breakOutcomes, loseJournalThread }) {
        await line.ask(create('create s', 's'), create('create poisoned', 'poisoned'));
        breakOutcomes('poisoned', 3);
        await line.ask(name('poison', 'poisoned', 'never'), name('healthy', 'poisoned', 'goes on'));
        await line.ask(create('create t', 't', scripted([{ text: 'begun' }, { hang: true }], [{ text: 'and on' }])));
        await line.ask(attach('attach t', 't'));
        line.send(prompt('interrupted', 't', 'go'));
        await line.event('t', 'message_end');
        await loseJournalThread();
        // It is found out by the next one who writes.
        line.send(name('unwritten', 's', 'never'));
        await line.until(({ type, data }) => type === 'startup_recovery_summary' && data.boot === 2);
        await line.response('interrupted');
        await line.ask(prompt('after', 't', 'go on'), name('goes on', 's', 'another thread'));
      },
    },
  ],
};

/** Sessions that rest, expire, are purged; what was redacted; reads that were audited. The last process left a checkpoint. */
const lifetimes: Scenario = {
  config: {
    passivation: { idleMs: 300 },
    journal: { auditReads: true, snapshotEvery: 4 },
    redaction: { keys: ['password'], patterns: ['sk-[a-z0-9]{6,}'] },
  },
  lives: [
    {
      end: 'kill',
      async play({ line }) {
        await line.ask(create('create kept', 'kept', { labels: { team: 'blue', password: 'hidden' } }));
        await line.ask(create('create short', 'short', { ttl: 1_500 }), attach('attach short', 'short'));
        await line.ask(name('extend', 'short', 'for a while'), create('create quiet', 'quiet', { ttl: 1_000 }));
        await line.ask(name('secret', 'kept', 'its key is sk-abc123456'), prompt('words', 'kept', 'three short words'));
        await line.ask(create('create purged', 'purged'), prompt('said', 'purged', 'what nobody may know'));
        await line.ask({ type: 'get_state', id: 'look', sessionId: 'kept' });
        await line.ask({ type: 'purge_session', id: 'purge', sessionId: 'purged' });
        await line.until(({ type, data }) => type === 'session_deleted' && data.sessionId === 'quiet');
        await line.until(({ type, data }) => type === 'session_deleted' && data.sessionId === 'short');
        await line.ask(name('too late', 'short', 'never'), create('create again', 'short'));
        await line.ask(name('comes back', 'kept', 'from its snapshot'));
      },
    },
    {
      end: 'stop',
      async play({ line }) {
        await line.ask(name('second boot', 'kept', 'still there'), prompt('once more', 'kept', 'and on'));
        await line.ask({ type: 'delete_session', id: 'delete', sessionId: 'short' });
      },
    },
  ],
};

export const scenarios: Readonly<Record<string, Scenario>> = { conversation, killed, rebuilt, lifetimes };
