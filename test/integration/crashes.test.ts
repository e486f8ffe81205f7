/**
 * Each child of the supervision tree fails once in a live server under load: what clients saw of it, what the journal holds
 * afterwards, and, printed as a table, how long it took until a durable change was possible again.
 */
import { describe, expect, it, vi } from 'vitest';
import { Deduplication } from '../../actors/deduplication.ts';
import { Outcomes } from '../../actors/outcomes.ts';
import type { Command } from '../../actors/command.ts';
import { Session } from '../../actors/session/session.ts';
import { Client } from './client.ts';
import { LiveServer } from './live-server.ts';

const TIMEOUT = { timeout: 120_000 };
const RESTARTS_MAX = 100;

/** The outcome of a command of these sessions can't be made, so many times. */
function plantInSessions(prefix: string, times: number): () => number {
  let left = times;
  const settle = Outcomes.prototype.settle;
  vi.spyOn(Outcomes.prototype, 'settle').mockImplementation(function (this: Outcomes, command: Command, ...rest) {
    if (left > 0 && command.sessionId?.startsWith(prefix) === true) {
      left -= 1;
      throw new Error('a planted defect');
    }
    return settle.call(this, command, ...rest);
  });
  return () => left;
}

function report(child: string, live: LiveServer, journal: string, ms: number): void {
  const codes = Object.entries(live.codes).map(([code, count]) => `${code} ${count}`);
  if (live.laggings > 0) codes.push(`session_lagging ${live.laggings}`);
  console.log(`${child} | ${codes.join(', ')} | ${journal} | ${Math.round(ms)}`);
}

/** What a failure of the whole tree from this child on looks like. */
async function expectRebuilt(child: string, live: LiveServer, ms: number): Promise<void> {
  await live.rest();
  const turn = await live.clients.at(-1)!.response('long turn');
  expect(turn).toMatchObject({ success: false, errorCode: 'INTERRUPTED' });
  expect(live.logged('a child failed')).toEqual([child]);
  expect(live.logged('restarted')).toEqual([child]);
  for (const client of live.clients) {
    const boots = client.frames.filter(({ type }) => type === 'startup_recovery_summary').map(({ data }) => data.boot);
    expect(boots).toEqual([1, 2]);
  }
  expect(Object.keys(live.codes).filter((code) => !REBUILT.has(code))).toEqual([]);
  report(child, live, await live.expectSound(), ms);
}

/** What may be answered while everything is folded again. */
const REBUILT = new Set(['success', 'JOURNAL_UNAVAILABLE', 'INTERRUPTED']);

/** Everybody else goes on: the turn runs to its end, and nobody hears of a recovery. */
async function expectUndisturbed(child: string, live: LiveServer, ms: number): Promise<void> {
  await live.rest();
  expect(await live.clients.at(-1)!.response('long turn')).toMatchObject({ success: true });
  expect(live.logged('a child failed')).toEqual([]);
  expect(live.viewer.frames.filter(({ type }) => type === 'startup_recovery_summary')).toHaveLength(1);
  report(child, live, await live.expectSound(), ms);
}

console.log('child | clients saw | journal | ms');

describe('in a live server under load', () => {
  it('the journal: its thread dies', TIMEOUT, async () => {
    const live = await LiveServer.start();
    await live.drive();
    const ms = await live.downtime('driven-0', () => live.killJournalThread());
    await expectRebuilt('journal', live, ms);
  });

  it('the directory: looking up a command throws', TIMEOUT, async () => {
    const live = await LiveServer.start();
    await live.drive();
    const ms = await live.downtime('driven-0', () => {
      vi.spyOn(Deduplication.prototype, 'find').mockImplementationOnce(() => {
        throw new Error('a planted defect');
      });
    });
    await expectRebuilt('directory', live, ms);
  });

  it('the transports: nobody listens any more', TIMEOUT, async () => {
    const live = await LiveServer.start();
    await live.drive();
    const { url } = live.address;
    const ms = await live.downtime('driven-0', async () => {
      await live.closeListener();
      await vi.waitFor(() => expect(live.address.listening).toBe(true), { timeout: 30_000 });
    });
    const late = new Client(url);
    await late.until(({ type }) => type === 'startup_recovery_summary');
    expect(await late.answer({ type: 'ping' })).toMatchObject({ success: true });
    await expectRebuilt('transports', live, ms);
  });

  it('the transports while the journal is being restarted: they are started again as well', TIMEOUT, async () => {
    const live = await LiveServer.start();
    await live.drive();
    const { url } = live.address;
    const ms = await live.downtime('driven-0', async () => {
      await Promise.all([live.closeListener(), live.killJournalThread()]);
      await vi.waitFor(() => expect(live.address.listening).toBe(true), { timeout: 30_000 });
    });
    const late = new Client(url);
    await late.until(({ type }) => type === 'startup_recovery_summary');
    await live.rest();
    report('journal and transports', live, await live.expectSound(), ms);
  });

  it('the sessions: more of them fail than are restarted one by one', TIMEOUT, async () => {
    const live = await LiveServer.start();
    const victims = Array.from({ length: RESTARTS_MAX + 1 }, (_, number) => `victim-${number}`);
    for (const victim of victims) await live.create(victim);
    await live.drive();
    const client = live.clients.at(-1)!;
    const left = plantInSessions('victim', victims.length);
    const ms = await live.downtime('victim-0', () => {
      for (const sessionId of victims.slice(0, 90)) {
        live.ledger.send(client, { type: 'set_session_name', id: sessionId, sessionId, name: 'x' });
      }
    });
    expect(left()).toBe(0);
    await expectRebuilt('sessions', live, ms);
  });

  it('a session: settling its command throws', TIMEOUT, async () => {
    const live = await LiveServer.start();
    await live.create('victim');
    await live.drive();
    const left = plantInSessions('victim', 1);
    const ms = await live.downtime('victim', () => undefined);
    expect(left()).toBe(0);
    expect(live.logged('a defect showed')).toEqual(['session:victim']);
    expect(live.codes).toEqual({ success: expect.any(Number) as number });
    await expectUndisturbed('session', live, ms);
  });

  it('a session with a running turn: what its engine says can not be shown', TIMEOUT, async () => {
    const live = await LiveServer.start();
    await live.create('victim', { engine: 'scripted', input: { turns: [[{ text: 'said' }], [{ text: 'again' }]] } });
    await live.drive();
    const client = live.clients.at(-1)!;
    const emit = Session.prototype.emit;
    const planted = vi.spyOn(Session.prototype, 'emit').mockImplementation(function (this: Session, id, event) {
      if (this.id !== 'victim') return emit.call(this, id, event);
      planted.mockRestore();
      throw new Error('a planted defect');
    });
    live.ledger.send(client, { type: 'prompt', id: 'first', sessionId: 'victim', message: 'go' });
    live.ledger.send(client, { type: 'prompt', id: 'second', sessionId: 'victim', message: 'go' });
    const ms = await live.downtime('victim', () => client.response('first'));
    expect(await client.response('first')).toMatchObject({ success: false, errorCode: 'INTERRUPTED' });
    expect(await client.response('second')).toMatchObject({ success: true });
    expect(live.logged('a defect showed')).toEqual(['session:victim']);
    await expectUndisturbed('session with a turn', live, ms);
  });

  it('a turn: its engine throws', TIMEOUT, async () => {
    const live = await LiveServer.start();
    const input = { turns: [[{ text: 'so far' }, { throw: 'a planted defect' }], [{ text: 'and on' }]] };
    await live.create('victim', { engine: 'scripted', input });
    await live.drive();
    const client = live.clients.at(-1)!;
    const ms = await live.downtime('victim', () => {
      live.ledger.send(client, { type: 'prompt', id: 'first', sessionId: 'victim', message: 'go' });
      live.ledger.send(client, { type: 'prompt', id: 'second', sessionId: 'victim', message: 'go' });
    });
    expect(await client.response('first')).toMatchObject({ success: false, errorCode: 'ENGINE_FAILED' });
    expect(await client.response('second')).toMatchObject({ success: true });
    expect(live.logged('a defect showed')).toEqual([]);
    await expectUndisturbed('turn', live, ms);
  });
});
