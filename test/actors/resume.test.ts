/**
 * Coming back to a session: a viewer is shown what it missed, from the journal, and then what happens, each durable event once
 * and in order; or it is told what it is not shown. Whoever catches up costs nobody else anything.
 */
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { Connection } from '../../actors/connection.ts';
import type { JournalReader } from '../../actors/entry.ts';
import { Session } from '../../actors/session/session.ts';
import { Subscriptions } from '../../actors/subscriptions.ts';
import { createScene } from '../support/scene.ts';
import type { Scene } from '../support/scene.ts';
import { createWorld } from '../support/world.ts';
import type { Client } from '../support/world.ts';

const MIB = 1_048_576;
const attach = (after: unknown, fields: object = {}) => ({
  type: 'attach_session',
  sessionId: 's',
  after,
  ...fields,
});
const name = (text: string, sessionId = 's') => ({ type: 'set_session_name', sessionId, name: text });

/** Until the pages are read that can be read. */
async function settle({ world }: Pick<Scene, 'world'>): Promise<void> {
  for (let round = 0; round < 10; round += 1) await world.settle();
}

async function send(scene: Scene, ...frames: Parameters<Scene['send']>): Promise<void> {
  await scene.send(...frames);
  await settle(scene);
}

afterEach(() => void vi.restoreAllMocks());

/** A session with `count` events, and a client that was there when they happened. */
async function eventful(
  count: number,
  options: Parameters<typeof createScene>[0] = {},
): Promise<Scene & { epoch: string }> {
  const scene = await createScene(options);
  for (let sent = 0; sent < count; sent += 100) {
    const some = Array.from({ length: Math.min(100, count - sent) }, (_, index) => name(`${sent + index + 1}`));
    await send(scene, ...some);
  }
  return { ...scene, epoch: scene.world.system.session('s')!.state!.epoch };
}

/** What a viewer was shown of the session, in one word each. */
function shown(client: Client): string[] {
  return client.frames.flatMap((frame) => {
    const data = (frame['data'] ?? {}) as Record<string, unknown>;
    switch (frame.type) {
      case 'event':
        return [frame['ephemeral'] === true ? `~${String(frame['seq'])}` : String(frame['seq'])];
      case 'session_synced':
        return [`synced ${String(data['seq'])}`];
      case 'session_gap':
        return [`gap ${String(data['fromSeq'])}-${String(data['toSeq'])} ${String(data['reason'])}`];
      case 'session_lagging':
        return [`lagging ${String(data['seq'])}`];
      case 'response':
        return frame['command'] === 'attach_session' ? ['attached'] : [];
      default:
        return [];
    }
  });
}

/** The data of the newest answer to an attach. */
const answer = (client: Client): unknown =>
  client.responses().findLast((frame) => frame['command'] === 'attach_session')?.['data'];

const numbers = (from: number, to: number): string[] =>
  Array.from({ length: Math.max(0, to - from + 1) }, (_, index) => String(from + index));

async function come({ world }: Scene, after: unknown, fields: object = {}): Promise<Client> {
  const client = world.connect();
  client.send(attach(after, fields));
  await settle({ world });
  return client;
}

/** Pages are answered when the test says so. */
function holdPages({ world }: Scene): {
  release: () => Promise<void>;
  fail: () => Promise<void>;
  readonly asked: number;
} {
  const waiting: { resolve: () => void; reject: (error: Error) => void }[] = [];
  const scan = world.journal.scan.bind(world.journal);
  let asked = 0;
  vi.spyOn(world.journal, 'scan').mockImplementation(async (range: Parameters<JournalReader['scan']>[0]) => {
    asked += 1;
    await new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }));
    return scan(range);
  });
  return {
    get asked() {
      return asked;
    },
    release: async () => {
      for (const { resolve } of waiting.splice(0)) resolve();
      await settle({ world });
    },
    fail: async () => {
      for (const { reject } of waiting.splice(0)) reject(new Error('the disk is gone'));
      await settle({ world });
    },
  };
}

describe('attaching behind a cursor', () => {
  it.each([0, 1, 4, 129, 299, 300])('shows what came after event %i, then says synced, then goes on', async (seq) => {
    const scene = await eventful(300);
    const late = await come(scene, { epoch: scene.epoch, seq });
    await send(scene, name('more'));
    expect(shown(late)).toEqual(['attached', ...numbers(seq + 1, 300), 'synced 300', '301']);
    expect(answer(late)).toMatchObject({ epoch: scene.epoch, watermark: 300, pendingUiRequests: [] });
  });

  it('shows everything from the start, as it was shown live', async () => {
    const scene = await eventful(0);
    await scene.prompt('p');
    scene.engine.turn.speak('a', 'b');
    scene.engine.turn.endMessage('ab');
    scene.engine.turn.endRun();
    scene.engine.turn.finish();
    await settle(scene);
    await send(scene, name('n'));
    const late = await come(scene, 'start');
    const durable = (client: Client) => client.of('event').filter((frame) => frame['ephemeral'] !== true);
    expect(durable(late)).toEqual(durable(scene.client));
    expect(durable(late).length).toBeGreaterThan(4);
  });

  it('finds the events of a session among those of others, and behind many entries without any', async () => {
    const scene = await eventful(3);
    await send(scene, { type: 'create_session', id: 'other', sessionId: 'o' });
    for (let round = 0; round < 5; round += 1) {
      await send(scene, ...Array.from({ length: 90 }, () => ({ type: 'abort', sessionId: 's' })));
      await send(scene, ...Array.from({ length: 90 }, (_, index) => name(`${index}`, 'o')), name('mine'));
    }
    for (let seq = 0; seq <= 8; seq += 1) {
      const late = await come(scene, { epoch: scene.epoch, seq });
      expect(shown(late)).toEqual(['attached', ...numbers(seq + 1, 8), 'synced 8']);
    }
  });

  it('shows nothing of the session that had the name before', async () => {
    const scene = await eventful(5);
    await send(scene, { type: 'delete_session', id: 'd', sessionId: 's' });
    await send(scene, { type: 'create_session', id: 'c2', sessionId: 's' }, name('anew'));
    expect(shown(await come(scene, 'start'))).toEqual(['attached', '1', 'synced 1']);
  });

  it('shows in the middle of a turn what was said so far, what was missed, and then the deltas', async () => {
    const scene = await eventful(2);
    await scene.prompt('p');
    scene.engine.turn.speak('a');
    await settle(scene);
    const pages = holdPages(scene);
    const late = await come(scene, { epoch: scene.epoch, seq: 1 });
    scene.engine.turn.delta('b');
    await settle(scene);
    expect(shown(late)).toEqual(['attached']);
    await pages.release();
    scene.engine.turn.delta('c');
    await settle(scene);
    expect(answer(late)).toMatchObject({ turn: { commandId: 'p', text: 'a' } });
    expect(shown(late)).toEqual(['attached', '2', '3', '4', 'synced 4', '~4', '~4']);
  });

  it.each(['none', 'compact'] as const)('sends deltas that came meanwhile as wanted: %s', async (deltas) => {
    const scene = await eventful(1);
    await scene.prompt('p');
    scene.engine.turn.speak();
    const pages = holdPages(scene);
    const late = await come(scene, 'start', { deltas });
    scene.engine.turn.delta('b');
    await pages.release();
    await pages.release();
    expect(shown(late).filter((word) => word.startsWith('~'))).toHaveLength(deltas === 'none' ? 0 : 1);
  });

  it('remembers the part that the client takes', async () => {
    const attached = vi.spyOn(Subscriptions.prototype, 'attach');
    const scene = await eventful(1);
    const late = await come(scene, 'start', { role: 'approver' });
    const subscriptions = attached.mock.contexts[0] as Subscriptions;
    expect(subscriptions.roleOf('s', late.peer as Connection)).toBe('approver');
    expect(subscriptions.roleOf('s', scene.client.peer as Connection)).toBeUndefined();
  });
});

describe('a cursor that can not be gone on from', () => {
  it('is told before synced when it is of another epoch, or ahead; and events go on behind the snapshot', async () => {
    const scene = await eventful(3);
    const foreign = await come(scene, { epoch: 'other', seq: 2 });
    const ahead = await come(scene, { epoch: scene.epoch, seq: 4 });
    await send(scene, name('more'));
    expect(shown(foreign)).toEqual(['attached', 'gap 1-3 foreign_epoch', 'synced 3', '4']);
    expect(shown(ahead)).toEqual(['attached', 'gap 1-3 beyond_head', 'synced 3', '4']);
    expect(foreign.of('session_gap')[0]?.['data']).toMatchObject({ sessionId: 's', epoch: scene.epoch });
    expect(answer(foreign)).toMatchObject({ sessionInfo: { sessionName: '3' } });
  });

  it.each([
    ['start', ['gap 1-200 retention', ...numbers(201, 300)]],
    [{ seq: 150 }, ['gap 151-200 retention', ...numbers(201, 300)]],
    [{ seq: 200 }, numbers(201, 300)],
    [{ seq: 250 }, numbers(251, 300)],
  ])('is told when retention took what is behind it: %j', async (after, expected) => {
    const scene = await eventful(300);
    takeAway(scene, ({ seq }) => seq <= 200);
    const late = await come(scene, after === 'start' ? after : { epoch: scene.epoch, ...(after as object) });
    expect(shown(late)).toEqual(['attached', ...expected, 'synced 300']);
  });

  it('is told when nothing is left, or something in the middle was blanked', async () => {
    const scene = await eventful(300);
    const scan = takeAway(scene, ({ seq }) => seq > 100 && seq <= 130);
    expect(shown(await come(scene, { epoch: scene.epoch, seq: 90 }))).toEqual([
      'attached',
      ...numbers(91, 100),
      'gap 101-130 retention',
      ...numbers(131, 300),
      'synced 300',
    ]);
    scan.mockImplementation(async () => []);
    expect(shown(await come(scene, 'start'))).toEqual(['attached', 'gap 1-300 retention', 'synced 300']);
  });
});

describe('while it catches up, a viewer', () => {
  it('is shown what happens meanwhile behind what it missed', async () => {
    const scene = await eventful(300);
    const pages = holdPages(scene);
    const late = await come(scene, { epoch: scene.epoch, seq: 1 });
    await send(scene, name('x'), name('y'));
    for (let rounds = 0; rounds < 20; rounds += 1) {
      await pages.release();
      await send(scene, name('z'));
    }
    expect(shown(late)).toEqual(['attached', ...numbers(2, 300), 'synced 300', ...numbers(301, 322)]);
    expect(shown(scene.client)).toEqual(numbers(1, 322));
  });

  it('is given a page when it has taken the one before, and slows nobody', async () => {
    const scene = await eventful(1_000, { limits: { outgoingBytesMax: 40_000 } });
    const late = scene.world.connect();
    const write = late.write.bind(late);
    let most = 0;
    late.write = (text) => {
      late.bufferedBytes += text.length;
      most = Math.max(most, late.bufferedBytes);
      write(text);
    };
    late.send(attach('start', { deltas: 'none' }));
    let reads = 0;
    while (!shown(late).includes('synced 1000')) {
      await settle(scene);
      const seen = shown(late).length;
      await send(scene, { type: 'ping', id: `ping ${reads}` });
      expect(scene.response(`ping ${reads}`)).toMatchObject({ success: true });
      expect(shown(late)).toHaveLength(seen);
      late.read();
      await settle(scene);
      reads += 1;
    }
    expect(reads).toBeGreaterThan(10);
    expect(most).toBeLessThan(20_000);
    expect(shown(late)).toEqual(['attached', ...numbers(1, 1_000), 'synced 1000']);
  });

  it('that does not read is told how far it got when too much happens meanwhile, and comes back from there', async () => {
    const scene = await eventful(600, { limits: { outgoingBytesMax: 40_000 } });
    const late = scene.world.connect();
    const write = late.write.bind(late);
    late.write = (text) => {
      late.bufferedBytes += text.length;
      write(text);
    };
    late.send(attach('start'));
    await settle(scene);
    const stuck = shown(late).length;
    await send(scene, ...Array.from({ length: 90 }, () => name('x'.repeat(250))));
    const told = shown(late);
    const seen = Number(told.at(-2));
    expect(told.slice(stuck)).toEqual([`lagging ${seen}`]);
    expect(told).toEqual(['attached', ...numbers(1, seen), `lagging ${seen}`]);
    expect(shown(scene.client)).toEqual(numbers(1, 690));
    late.read();
    await send(scene, name('y'));
    expect(shown(late)).toEqual(told);
    late.write = write;
    late.send({ ...attach({ epoch: scene.epoch, seq: seen }), id: 'again' });
    await settle(scene);
    expect(shown(late).slice(told.length)).toEqual(['attached', ...numbers(seen + 1, 691), 'synced 691']);
  });

  it('is shown nothing more once it detached or left, and nothing is read for it', async () => {
    for (const way of ['detach', 'leave'] as const) {
      const scene = await eventful(300);
      const pages = holdPages(scene);
      const late = await come(scene, 'start');
      if (way === 'leave') late.leave();
      else late.send({ type: 'detach_session', id: 'd', sessionId: 's' });
      await settle(scene);
      const { asked } = pages;
      for (let rounds = 0; rounds < 5; rounds += 1) await pages.release();
      await send(scene, name('n'));
      expect(shown(late)).toEqual(['attached']);
      expect(pages.asked).toBe(asked);
      vi.restoreAllMocks();
    }
  });

  it('that attaches again goes on from the new cursor alone', async () => {
    const scene = await eventful(300);
    const pages = holdPages(scene);
    const late = await come(scene, 'start');
    late.send({ ...attach({ epoch: scene.epoch, seq: 298 }), id: 'b' });
    await settle(scene);
    for (let rounds = 0; rounds < 20; rounds += 1) await pages.release();
    await send(scene, name('n'));
    expect(shown(late)).toEqual(['attached', 'attached', '299', '300', 'synced 300', '301']);
  });

  it('is told how far it got when the session is deleted', async () => {
    const scene = await eventful(300);
    const pages = holdPages(scene);
    const late = await come(scene, { epoch: scene.epoch, seq: 7 });
    await send(scene, { type: 'delete_session', id: 'd', sessionId: 's' }, { type: 'create_session', sessionId: 's' });
    await send(scene, name('n'));
    for (let rounds = 0; rounds < 5; rounds += 1) await pages.release();
    expect(shown(late)).toEqual(['attached', 'lagging 7']);
  });

  it('is told how far it got when the journal can not be read', async () => {
    const scene = await eventful(300);
    const pages = holdPages(scene);
    const late = await come(scene, { epoch: scene.epoch, seq: 7 });
    await pages.fail();
    expect(shown(late)).toEqual(['attached', 'lagging 7']);
    vi.restoreAllMocks();
    await send(scene, name('n'));
    expect(shown(await come(scene, { epoch: scene.epoch, seq: 299 }))).toEqual([
      'attached',
      '300',
      '301',
      'synced 301',
    ]);
    expect(shown(late)).toEqual(['attached', 'lagging 7']);
  });

  it('misses nothing when the session, or everything, is rebuilt in the middle', async () => {
    for (const what of ['session', 'journal'] as const) {
      const scene = await eventful(300);
      const pages = holdPages(scene);
      const late = await come(scene, { epoch: scene.epoch, seq: 7 });
      await pages.release();
      if (what === 'journal') scene.world.journal.failNext(new Error('no room'));
      else {
        vi.spyOn(Session.prototype, 'record').mockImplementationOnce(() => {
          throw new Error('a defect');
        });
      }
      await send(scene, name('lost?'));
      for (let rounds = 0; rounds < 40; rounds += 1) await pages.release();
      await scene.world.advance(10_000);
      for (let rounds = 0; rounds < 40; rounds += 1) await pages.release();
      vi.restoreAllMocks();
      await send(scene, name('after'));
      await scene.world.advance(10_000);
      const words = shown(late);
      const last = words.findLast((word) => word.startsWith('lagging'));
      if (last !== undefined) {
        late.send({ ...attach({ epoch: scene.epoch, seq: Number(last.slice('lagging '.length)) }), id: 'again' });
        await settle(scene);
      }
      const { seq } = scene.world.system.session('s')!.state!;
      expect(seq).toBeGreaterThan(300);
      expect(shown(late).filter((word) => /^\d+$/.test(word))).toEqual(numbers(8, seq));
    }
  });

  it('leaves nothing behind, however it ends', async () => {
    const scene = await eventful(300);
    const before = { ...scene.world.system.live, known: 0 };
    expect(before).toMatchObject({ viewers: 1, catchUps: 0 });
    for (let round = 0; round < 30; round += 1) {
      const late = scene.world.connect();
      late.send({ ...attach(round % 3 === 0 ? 'start' : { epoch: scene.epoch, seq: round }), id: `a${round}` });
      if (round % 2 === 0) await settle(scene);
      if (round % 5 === 0) late.bufferedBytes = 2 * MIB;
      late.leave();
      await settle(scene);
    }
    expect({ ...scene.world.system.live, known: 0 }).toEqual(before);
  });

  it('does not hold up the commits: two pages are read at a time, whoever comes', async () => {
    const scene = await eventful(300);
    const pages = holdPages(scene);
    const all: Client[] = [];
    for (let index = 0; index < 20; index += 1) all.push(await come(scene, { epoch: scene.epoch, seq: 280 }));
    expect(pages.asked).toBe(2);
    expect(scene.world.system.live).toMatchObject({ viewers: 21, catchUps: 20 });
    for (let rounds = 0; rounds < 200; rounds += 1) await pages.release();
    expect(scene.world.system.live).toMatchObject({ viewers: 21, catchUps: 0 });
    for (const client of all) expect(shown(client)).toEqual(['attached', ...numbers(281, 300), 'synced 300']);
  });
});

describe('a server that starts again', () => {
  it('shows the same events under the same numbers', async () => {
    const scene = await eventful(150);
    const before = await come(scene, 'start');
    await scene.world.stop();
    const { store, clock } = scene.world;
    const world = createWorld({ store, clock, engines: [scene.engine] });
    await world.start();
    const after = await come({ ...scene, world }, 'start');
    expect(after.of('event')).toEqual(before.of('event'));
    expect(shown(after)).toEqual(['attached', ...numbers(1, 150), 'synced 150']);
  });
});

describe('get_session_events', () => {
  type Page = { epoch: string; events: { seq: number; at: string; event: { type: string } }[]; hasMore: boolean };

  async function ask({ world }: Scene, fields: object): Promise<Page & { errorCode?: unknown; details?: unknown }> {
    const client = world.connect();
    client.send({ type: 'get_session_events', sessionId: 's', ...fields });
    await settle({ world });
    const response = client.responses().at(-1)!;
    return response['success'] === true ? (response['data'] as Page) : (response as unknown as Page);
  }

  const seqs = ({ events }: Page): number[] => events.map(({ seq }) => seq);
  const range = (from: number, to: number): number[] => numbers(from, to).map(Number);

  it('pages forward from the start or a cursor, to the end or to another', async () => {
    const scene = await eventful(250);
    const { epoch } = scene;
    const first = await ask(scene, {});
    expect([seqs(first), first.hasMore, first.epoch]).toEqual([range(1, 100), true, epoch]);
    expect(first.events[4]).toEqual({
      seq: 5,
      at: expect.stringMatching(/^2026-/) as string,
      event: { type: 'session_changed', fields: { name: '5' } },
    });
    const last = await ask(scene, { after: { epoch, seq: 200 } });
    expect([seqs(last), last.hasMore]).toEqual([range(201, 250), false]);
    const between = await ask(scene, { after: { epoch, seq: 9 }, before: { epoch, seq: 20 }, limit: 5 });
    expect([seqs(between), between.hasMore]).toEqual([range(10, 14), true]);
    expect(await ask(scene, { after: { epoch, seq: 17 }, before: { epoch, seq: 20 } })).toMatchObject({
      hasMore: false,
    });
    expect(await ask(scene, { after: 'live' })).toEqual({ epoch, events: [], hasMore: false });
    expect(await ask(scene, { after: { epoch, seq: 20 }, before: { epoch, seq: 20 } })).toMatchObject({ events: [] });
  });

  it('pages backward from the end or a cursor, each page in order', async () => {
    const scene = await eventful(250);
    const { epoch } = scene;
    const newest = await ask(scene, { before: 'live', limit: 60 });
    expect([seqs(newest), newest.hasMore]).toEqual([range(191, 250), true]);
    const oldest = await ask(scene, { before: { epoch, seq: 31 }, limit: 60 });
    expect([seqs(oldest), oldest.hasMore]).toEqual([range(1, 30), false]);
    expect(await ask(scene, { before: { epoch, seq: 1 } })).toMatchObject({ events: [], hasMore: false });
  });

  it('ends a page that becomes too large, and tells that there is more', async () => {
    const scene = await eventful(0);
    await scene.prompt('p');
    for (let index = 0; index < 5; index += 1) scene.engine.turn.endMessage('x'.repeat(400_000));
    await settle(scene);
    expect([seqs(await ask(scene, {})), (await ask(scene, {})).hasMore]).toEqual([[1, 2], true]);
    const back = await ask(scene, { before: 'live' });
    expect([seqs(back), back.hasMore]).toEqual([[4, 5], true]);
    scene.engine.turn.endMessage('x'.repeat(2 * MIB));
    await settle(scene);
    expect(seqs(await ask(scene, { after: { epoch: scene.epoch, seq: 5 } }))).toEqual([6]);
  });

  it.each([
    ['foreign_epoch', { after: { epoch: 'other', seq: 1 } }],
    ['foreign_epoch', { before: { epoch: 'other', seq: 1 } }],
    ['beyond_head', { after: { seq: 301 } }],
    ['beyond_head', { before: { seq: 301 } }],
    ['retention', { after: 'start' }],
    ['retention', {}],
    ['retention', { after: { seq: 50 } }],
    ['retention', { before: { seq: 80 } }],
    ['retention', { before: { seq: 101 } }],
  ])('says that a cursor has expired (%s), and which event is the first: %j', async (reason, fields) => {
    const scene = await eventful(300);
    const { epoch } = scene;
    takeAway(scene, ({ seq }) => seq <= 100);
    const whole = Object.entries(fields).map(([key, value]) => [
      key,
      typeof value === 'object' ? { epoch, ...(value as object) } : value,
    ]);
    expect(await ask(scene, Object.fromEntries(whole) as object)).toMatchObject({
      errorCode: 'CURSOR_EXPIRED',
      details: { reason, epoch, firstSeq: 101, lastSeq: 300 },
    });
    const first = await ask(scene, { after: { epoch, seq: 100 }, limit: 1 });
    expect([seqs(first), first.hasMore]).toEqual([[101], true]);
    const back = await ask(scene, { before: { epoch, seq: 120 } });
    expect([seqs(back), back.hasMore]).toEqual([range(101, 119), true]);
  });

  it('sees what was sent before it, and only what is durable', async () => {
    const scene = await eventful(3);
    scene.world.journal.hold();
    scene.client.send(name('4'));
    scene.client.send({ type: 'get_session_events', id: 'e', sessionId: 's' });
    await settle(scene);
    expect(scene.response('e')).toBeUndefined();
    scene.world.journal.pass();
    await settle(scene);
    expect(seqs(scene.response('e')!['data'] as Page)).toEqual([1, 2, 3, 4]);
  });

  it('of a session that is not there is SESSION_NOT_FOUND', async () => {
    const scene = await eventful(0);
    expect(await ask(scene, { sessionId: 'nobody' })).toMatchObject({ errorCode: 'SESSION_NOT_FOUND' });
  });
});

/** What retention does: these entries of the session are not in the journal any more. */
function takeAway({ world }: Scene, taken: (entry: { kind: string; seq: number }) => boolean) {
  const scan = world.journal.scan.bind(world.journal);
  return vi.spyOn(world.journal, 'scan').mockImplementation(async (range: Parameters<JournalReader['scan']>[0]) => {
    for (let { after } = range; ;) {
      const page = await scan({ ...range, after });
      const left = page.filter(({ entry }) => {
        const seq = 'seq' in entry ? entry.seq : undefined;
        return entry.lane !== 'session:s' || !taken({ kind: entry.kind, seq: seq ?? 0 });
      });
      if (left.length > 0 || page.length === 0) return left;
      after = page.at(-1)!.entry.offset;
    }
  });
}
