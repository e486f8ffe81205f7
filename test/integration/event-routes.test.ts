/**
 * Events over plain HTTP from a real server: streams with their cursors, long polls, and what is refused with which status.
 */
import { request, type IncomingMessage } from 'node:http';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { checkConfig } from '../../src/config.ts';
import { createMemoryJournal } from '../../src/journal/memory.ts';
import { createServer } from '../../src/server.ts';
import { createBus } from '../../src/telemetry/bus.ts';
import { Client } from './client.ts';

interface Sent {
  readonly event: string;
  readonly id: string | undefined;
  readonly comment: boolean;
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- frames of any kind, read by tests
  readonly data: any;
}

class Stream {
  readonly response: IncomingMessage;
  readonly sent: Sent[] = [];
  ended = false;
  #text = '';

  constructor(response: IncomingMessage) {
    this.response = response;
    response.setEncoding('utf8');
    response.on('data', (text: string) => this.#take(text));
    response.on('error', () => undefined);
    response.once('close', () => (this.ended = true));
  }

  get seqs(): number[] {
    return this.sent
      .filter(({ event, id }) => event === 'message' && id !== undefined)
      .map(({ data }) => data.seq as number);
  }

  async until(found: () => boolean): Promise<void> {
    await vi.waitFor(() => expect(found()).toBe(true), { timeout: 30_000, interval: 5 });
  }

  #take(text: string): void {
    this.#text += text;
    for (let end = this.#text.indexOf('\n\n'); end >= 0; end = this.#text.indexOf('\n\n')) {
      const lines = this.#text.slice(0, end).split('\n');
      this.#text = this.#text.slice(end + 2);
      const field = (name: string) => lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2);
      const data = field('data');
      const comment = lines.every((line) => line.startsWith(':'));
      this.sent.push({
        event: field('event') ?? 'message',
        id: field('id'),
        comment,
        data: data === undefined ? undefined : (JSON.parse(data) as unknown),
      });
    }
  }
}

async function start(options: object = {}) {
  const checked = checkConfig({ port: 0, timeouts: { drainMs: 500 }, ...options });
  if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));
  const server = createServer(checked.config, { telemetry: createBus(), journal: createMemoryJournal() });
  const { listening } = await server.start();
  onTestFinished(() => server.stop());
  const client = new Client(listening!.url.replace(/^http/, 'ws'));
  await client.until(({ type }) => type === 'startup_recovery_summary');
  await client.answer({ type: 'create_session', sessionId: 's.1' });
  const attached = await client.answer({ type: 'attach_session', sessionId: 's.1' });
  const epoch = attached.data.epoch as string;
  const names = async (from: number, to: number) => {
    const commands = Array.from({ length: to - from + 1 }, (_, index) => ({
      type: 'set_session_name',
      sessionId: 's.1',
      name: `${from + index}`,
    }));
    await client.askAll(commands);
  };
  return {
    server,
    listening: listening!,
    client,
    epoch,
    names,
    get: (path: string, headers = {}, method = 'GET') => get(listening!.port, path, headers, method),
  };
}

function get(port: number, path: string, headers: Record<string, string>, method: string): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, headers, method, agent: false }, resolve);
    sent.on('error', reject);
    onTestFinished(() => void sent.destroy());
    sent.end();
  });
}

interface Answer {
  readonly status: number | undefined;
  readonly headers: IncomingMessage['headers'];
  // eslint-disable-next-line @typescript-eslint/no-explicit-any -- bodies of any kind, read by tests
  readonly body: any;
}

async function json(response: IncomingMessage): Promise<Answer> {
  const chunks: Buffer[] = [];
  for await (const chunk of response) chunks.push(chunk as Buffer);
  const body: unknown = JSON.parse(Buffer.concat(chunks).toString());
  return { status: response.statusCode, headers: response.headers, body };
}

const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index);
const EVENTS = '/v1/sessions/s.1/events';

describe('a stream of events', () => {
  it(
    'shows what was missed and what happens, with cursors, and goes on from Last-Event-ID',
    { timeout: 60_000 },
    async () => {
      const { names, get, epoch, client } = await start();
      await names(1, 200);
      const first = new Stream(await get(`${EVENTS}?after=start`));
      await first.until(() => first.sent.some(({ event }) => event === 'session_synced'));
      expect(first.response.headers).toMatchObject({ 'content-type': 'text/event-stream; charset=utf-8' });
      expect(first.response.headers).not.toHaveProperty('access-control-allow-origin');
      await names(201, 210);
      await first.until(() => first.seqs.length >= 210);
      expect(first.seqs).toEqual(range(1, 210));
      expect(first.sent[0]).toMatchObject({
        event: 'response',
        data: { success: true, data: { epoch, watermark: 200 } },
      });
      const tenth = first.sent.find(({ id }) => id === `${epoch}:10`);
      expect(tenth?.data).toEqual(client.events('s.1')[9]);
      first.response.destroy();
      await names(211, 220);
      const again = new Stream(await get(`${EVENTS}?after=start`, { 'Last-Event-ID': `${epoch}:205` }));
      await again.until(() => again.seqs.length >= 15);
      expect(again.seqs).toEqual(range(206, 220));
    },
  );

  it('leaves ephemeral events without an id, and out when they are not wanted', async () => {
    const { client, get } = await start();
    const all = new Stream(await get(EVENTS));
    const none = new Stream(await get(`${EVENTS}?deltas=none&after=live`));
    for (const one of [all, none]) await one.until(() => one.sent.some(({ event }) => event === 'session_synced'));
    await client.answer({ type: 'prompt', sessionId: 's.1', message: 'some words' });
    const durable = client.events('s.1').map(({ seq }) => seq);
    for (const one of [all, none]) await one.until(() => one.seqs.length === durable.length);
    expect([all.seqs, none.seqs]).toEqual([durable, durable]);
    const ephemeral = (stream: Stream) => stream.sent.filter(({ data }) => data?.ephemeral === true);
    expect(ephemeral(all).length).toBeGreaterThan(0);
    expect(ephemeral(all).every(({ id }) => id === undefined)).toBe(true);
    expect(ephemeral(none)).toEqual([]);
  });

  it('says so when nothing happens, and ends with its session', async () => {
    const { client, get } = await start({ heartbeat: { intervalMs: 50, timeoutMs: 10_000 } });
    const stream = new Stream(await get(EVENTS));
    await stream.until(() => stream.sent.filter(({ comment }) => comment).length >= 2);
    await client.answer({ type: 'delete_session', sessionId: 's.1' });
    await stream.until(() => stream.ended);
    expect(stream.sent.findLast(({ comment }) => !comment)).toMatchObject({ event: 'session_deleted' });
  });

  it(
    'of a reader that does not read ends with its mark, and goes on behind it without a hole',
    { timeout: 60_000 },
    async () => {
      const { client, get, epoch } = await start({ limits: { outgoingBytesMax: 500_000 } });
      const response = await get(EVENTS);
      response.pause();
      const big = Array.from({ length: 150 }, (_, index) => ({
        type: 'prompt',
        sessionId: 's.1',
        message: `${index} ${'x'.repeat(60_000)}`,
      }));
      for (const command of big) await client.answer(command);
      const newest = await client.answer({ type: 'get_session_events', sessionId: 's.1', before: 'live', limit: 1 });
      const last = newest.data.events[0].seq as number;
      const stream = new Stream(response);
      response.resume();
      await stream.until(() => stream.ended);
      const end = stream.sent.at(-1);
      expect(end).toMatchObject({ event: 'session_lagging', data: { data: { seq: stream.seqs.at(-1) ?? 0 } } });
      const cursor = stream.sent.findLast(({ id }) => id !== undefined)!.id!;
      const again = new Stream(await get(EVENTS, { 'Last-Event-ID': cursor }));
      await again.until(() => again.seqs.at(-1) === last);
      expect([...stream.seqs, ...again.seqs]).toEqual(range(1, last));
      expect(cursor.startsWith(`${epoch}:`)).toBe(true);
    },
  );

  it('has a place among the connections, and gives it back', async () => {
    const { client, get } = await start({ limits: { connectionsMax: 2 } });
    const stream = new Stream(await get(EVENTS));
    await stream.until(() => stream.sent.length > 0);
    const refused = await json(await get(EVENTS));
    expect(refused).toMatchObject({ status: 503, body: { success: false, errorCode: 'RATE_LIMITED' } });
    expect(refused.headers['retry-after']).toBeDefined();
    stream.response.destroy();
    await vi.waitFor(async () => {
      const metrics = await client.answer({ type: 'get_metrics' });
      expect(metrics.data.connectionCount).toBe(1);
    });
    const next = new Stream(await get(EVENTS));
    await next.until(() => next.sent.length > 0);
  });

  it('ends when the server stops', async () => {
    const { server, get } = await start();
    const stream = new Stream(await get(EVENTS));
    const poll = get(`${EVENTS}?wait=30`).then(json);
    await stream.until(() => stream.sent.some(({ event }) => event === 'session_synced'));
    await new Promise((resolve) => setTimeout(resolve, 50));
    await server.stop();
    await stream.until(() => stream.ended);
    expect(await poll).toMatchObject({ status: 503, body: { errorCode: 'SHUTTING_DOWN' } });
  });
});

describe('a long poll', () => {
  it('answers with the page behind the cursor at once', async () => {
    const { names, get, epoch } = await start();
    await names(1, 30);
    const page = await json(await get(`${EVENTS}?after=${epoch}:5&wait=30&limit=10`));
    expect(page).toMatchObject({ status: 200, body: { epoch, hasMore: true } });
    expect(Object.keys(page.body as object)).toEqual(['epoch', 'events', 'hasMore']);
    expect((page.body.events as { seq: number }[]).map(({ seq }) => seq)).toEqual(range(6, 15));
    expect(page.headers['troupe-cursor']).toBe(`${epoch}:15`);
    const rest = await json(await get(`${EVENTS}?after=start&wait=0`, { 'Last-Event-ID': `${epoch}:25` }));
    expect((rest.body.events as { seq: number }[]).map(({ seq }) => seq)).toEqual(range(26, 30));
  });

  it.each(['live', 'start', 'cursor'])('waits for the next event: after %s', async (after) => {
    const { names, get, epoch, client } = await start();
    const poll = get(`${EVENTS}?after=${after === 'cursor' ? `${epoch}:0` : after}&wait=30`).then(json);
    await vi.waitFor(async () => {
      const { data } = await client.answer({ type: 'get_metrics' });
      expect(data.connectionCount).toBe(2);
    });
    await new Promise((resolve) => setTimeout(resolve, 100));
    await names(1, 1);
    expect(await poll).toMatchObject({ status: 200, body: { epoch, events: [{ seq: 1 }], hasMore: false } });
  });

  it('answers without events when the time is over, and says where to go on', async () => {
    const { names, get, epoch } = await start();
    await names(1, 3);
    const page = await json(await get(`${EVENTS}?after=live&wait=1`));
    expect(page).toMatchObject({ status: 200, body: { epoch, events: [], hasMore: false } });
    expect(page.headers['troupe-cursor']).toBe(`${epoch}:3`);
  });

  it('says when the session ends meanwhile', async () => {
    const { get, client } = await start();
    const poll = get(`${EVENTS}?after=live&wait=30`).then(json);
    await new Promise((resolve) => setTimeout(resolve, 200));
    await client.answer({ type: 'delete_session', sessionId: 's.1' });
    expect(await poll).toMatchObject({ status: 404, body: { errorCode: 'SESSION_NOT_FOUND' } });
  });
});

describe('a request for events', () => {
  it.each([
    [404, 'SESSION_NOT_FOUND', '/v1/sessions/nobody/events?after=live'],
    [404, 'SESSION_NOT_FOUND', '/v1/sessions/nobody/events?after=start&wait=1'],
    [400, 'VALIDATION_FAILED', `${EVENTS}?after=yesterday`],
    [400, 'VALIDATION_FAILED', `${EVENTS}?after=yesterday&wait=1`],
    [400, 'VALIDATION_FAILED', `${EVENTS}?wait=soon`],
    [400, 'VALIDATION_FAILED', `${EVENTS}?deltas=some`],
    [400, 'VALIDATION_FAILED', '/v1/sessions/%00/events'],
    [400, 'VALIDATION_FAILED', '/v1/sessions/%E0%A4%A/events'],
    [410, 'CURSOR_EXPIRED', `${EVENTS}?after=other:1`],
    [410, 'CURSOR_EXPIRED', `${EVENTS}?after=other:1&wait=1`],
    [404, 'UNSUPPORTED', '/v1/sessions/s.1/messages'],
  ])('is refused with %i and %s: %s', async (status, errorCode, path) => {
    const { get } = await start();
    expect(await json(await get(path))).toMatchObject({ status, body: { success: false, errorCode } });
  });

  it('of a cursor that has expired names the first event, as the command does', async () => {
    const { names, get, epoch, client } = await start();
    await names(1, 3);
    const { body } = await json(await get(`${EVENTS}?after=${epoch}:9`));
    const asked = await client.answer({ type: 'get_session_events', sessionId: 's.1', after: { epoch, seq: 9 } });
    expect({ ...body, id: asked.id } as unknown).toEqual(asked);
    expect(body.details).toEqual({ reason: 'beyond_head', epoch, firstSeq: 1, lastSeq: 3 });
  });

  it('is refused to pages of other sites, under foreign names, and with other methods', async () => {
    const { get } = await start();
    const foreign = await json(await get(EVENTS, { Origin: 'https://example.com' }));
    expect(foreign).toMatchObject({ status: 403, body: { errorCode: 'FORBIDDEN' } });
    expect(await json(await get(EVENTS, { Host: 'example.com' }))).toMatchObject({ status: 403 });
    const posted = await json(await get(EVENTS, {}, 'POST'));
    expect([posted.status, posted.headers.allow]).toEqual([405, 'GET']);
  });
});
