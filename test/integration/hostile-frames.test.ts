/** Frames that no honest client sends, over a real socket: each gets its coded answer, and nothing else happens. */
import { describe, expect, it } from 'vitest';
import { Client, type Frame } from './client.ts';
import { Random } from './random.ts';
import { startServer, temporaryFolder, type ServerProcess } from './server-process.ts';

const MIB = 1024 * 1024;
const FRAME_BYTES_MAX = 10 * MIB;
const deep = (levels: number, inner = '1'): string => '['.repeat(levels) + inner + ']'.repeat(levels);
const json = (frame: unknown): string => JSON.stringify(frame);

/** A frame of exactly `bytes` bytes. */
function padded(frame: string, bytes: number): string {
  const head = `${frame.slice(0, -1)},"pad":"`;
  return `${head}${'x'.repeat(bytes - Buffer.byteLength(head) - 2)}"}`;
}

/** Everything that the server answers to one frame, up to the answer to a ping behind it. */
async function answersTo(client: Client, data: string | Buffer, number: number): Promise<Frame[]> {
  const from = client.frames.length;
  const ping = `ping ${number}`;
  client.socket.send(data);
  client.send({ type: 'ping', id: ping });
  expect(await client.response(ping, from)).toMatchObject({ success: true });
  return client.frames.slice(from).filter(({ type, id }) => type === 'response' && id !== ping);
}

const REFUSED: Record<string, (string | Buffer)[]> = {
  INVALID_JSON: [
    '',
    ' ',
    '\0',
    '{',
    '{"type":"ping"',
    '{"type":"ping"}{"type":"ping"}',
    '{"type":"ping"}\0',
    '{"type":"ping","id":"\0"}',
    "{'type':'ping'}",
    '{type:"ping"}',
    'undefined',
    'NaN',
    '\ufeff{"type":"ping"}',
    '['.repeat(200_000),
    '{"a":'.repeat(200_000),
    '['.repeat(10_000_000),
    Buffer.alloc(0),
    Buffer.from([0xff, 0xfe, 0x00]),
    Buffer.from([0x22, 0xc3, 0x28, 0x22]),
    Buffer.concat([Buffer.from('{"type":"ping","id":"'), Buffer.from([0xed, 0xa0, 0x80]), Buffer.from('"}')]),
  ],
  INVALID_FRAME: [
    ...['null', 'true', '0', '-1.5e300', '1e999', '""', '"ping"', '[]', '[{"type":"ping"}]', deep(50_000)],
    Buffer.from('[null]'),
  ],
  VALIDATION_FAILED: [
    '{}',
    '{"__proto__":{"type":"ping"}}',
    ...[null, 0, true, '', {}, [], ['ping'], { toString: 'ping' }].map((type) => json({ type })),
    ...[null, 0, false, '', '  ', {}, [], 'anon:1:1', 'x'.repeat(257)].map((id) => json({ type: 'ping', id })),
    ...[null, 'a', {}, [1], [null], [''], Array.from({ length: 33 }, String)].map((dependsOn) =>
      json({ type: 'ping', id: 'd', dependsOn }),
    ),
    ...[null, -1, 1.5, '1', 2 ** 53].map((ifSessionVersion) =>
      json({ type: 'abort', sessionId: 's', ifSessionVersion }),
    ),
    ...[undefined, null, 1, '', {}, '\0server', 'a\nb'].map((sessionId) => json({ type: 'get_state', sessionId })),
    ...['..', '.', 'a/b', 'a b', '\ud800', 'é', ''].map((sessionId) => json({ type: 'create_session', sessionId })),
    ...[undefined, null, 1, '', {}, ['a'], 'x'.repeat(200_001)].map((message) =>
      json({ type: 'prompt', sessionId: 's', message }),
    ),
    json({ type: 'set_session_name', sessionId: 's', name: 'a\0b' }),
    json({ type: 'prompt', sessionId: 's', message: 'a', respond: 'never' }),
    json({ type: 'create_session', input: { delayMs: 'soon' } }),
    json({ type: 'create_session', engine: 'scripted', input: { turns: 'many' } }),
    json({ type: 'create_session', labels: { a: { b: 1 } } }),
    json({ type: 'subscribe', topics: ['__proto__'] }),
    `{"type":"ping","x":${deep(64)}}`,
    `{"type":"ping","id":${deep(10_000)}}`,
    `{"type":"ping","id":"deep","x":${deep(4_000_000)}}`,
    `{"type":"ping","id":"wide","x":[${'[],'.repeat(3_000_000)}1]}`,
    `{"type":"create_session","id":"deep","input":${deep(10_000, '{"a":1}')}}`,
  ],
  UNKNOWN_COMMAND: [
    ...['PING', 'ping ', '__proto__', 'constructor', 'toString', 'hasOwnProperty', '\ud800'].map((type) =>
      json({ type }),
    ),
    '{"type":"ping","type":"pong"}',
  ],
  FRAME_TOO_LARGE: [
    padded('{"type":"ping","id":"large"}', FRAME_BYTES_MAX + 1),
    Buffer.from(padded('{"type":"ping","id":"large"}', FRAME_BYTES_MAX + 1)),
    'x'.repeat(2 * FRAME_BYTES_MAX),
  ],
};

/** The server logged no defect, still serves others, and stops in order. */
async function expectWell(server: ServerProcess): Promise<void> {
  expect(await (await Client.connect(server)).answer({ type: 'health_check' })).toMatchObject({
    data: { healthy: true },
  });
  expect(server.log.filter(({ level }) => level > 30)).toEqual([]);
  expect(await server.kill('SIGTERM')).toEqual({ code: 0, signal: null });
  expect(server.stderr).toBe('');
}

describe('a frame that is wrong', () => {
  it('is refused with a code, once, and a ping behind it is answered', { timeout: 120_000 }, async () => {
    const server = await startServer(temporaryFolder());
    const client = await Client.connect(server);
    let number = 0;
    for (const [errorCode, frames] of Object.entries(REFUSED)) {
      for (const data of frames) {
        const answers = await answersTo(client, data, (number += 1));
        const codes = answers.map(({ success, errorCode: code }) => [success, code]);
        expect([data.toString('utf8').slice(0, 80), codes]).toEqual([
          data.toString('utf8').slice(0, 80),
          [[false, errorCode]],
        ]);
      }
    }
    expect((await client.answer({ type: 'list_sessions' })).data).toEqual({ sessions: [], total: 0 });
    await expectWell(server);
  });

  it('that the WebSocket protocol itself forbids costs its own connection alone', { timeout: 120_000 }, async () => {
    const server = await startServer(temporaryFolder());
    const witness = await Client.connect(server);
    const text = await Client.connect(server);
    text.socket.send(Buffer.from([0x22, 0xff, 0x22]), { binary: false });
    expect((await text.closed).code).toBe(1007);
    const large = await Client.connect(server);
    large.socket.send(Buffer.alloc(2 * FRAME_BYTES_MAX + 1));
    expect((await large.closed).code).toBe(1009);
    expect(await witness.answer({ type: 'ping' })).toMatchObject({ success: true });
    await expectWell(server);
  });
});

describe('a frame that is only strange', () => {
  it('is taken for what it says', { timeout: 120_000 }, async () => {
    const dataDir = temporaryFolder();
    const server = await startServer(dataDir);
    const client = await Client.connect(server);
    const half = '\ud800';
    const strange: (string | Buffer)[] = [
      // A name of every object is a name like any other.
      ...['__proto__', 'constructor', 'toString'].map((name) =>
        json({
          type: 'create_session',
          id: name,
          sessionId: name,
          idempotencyKey: name,
          labels: { [name]: name },
          name,
        }),
      ),
      '{"type":"ping","id":"polluted","__proto__":{"success":false},"constructor":{"prototype":{"success":false}}}',
      `{"type":"create_session","id":"labels","sessionId":"labels","labels":{"__proto__":"a"}}`,
      Buffer.from(json({ type: 'create_session', id: 'binary', sessionId: 's' })),
      json({ type: 'set_session_name', id: half, sessionId: 's', name: `${half} and ${half}`, idempotencyKey: half }),
      json({ type: 'prompt', id: 'nul', sessionId: 's', message: `a\0b ${half}`, [half]: half }),
      `{"type":"ping","id":"nested","x":${deep(63)}}`,
      padded(json({ type: 'ping', id: 'exact' }), FRAME_BYTES_MAX),
      Buffer.from(padded(json({ type: 'steer', id: 'exact too', sessionId: 's', message: 'a' }), FRAME_BYTES_MAX)),
    ];
    const ids = strange.map((data) => (JSON.parse(data.toString()) as { id: string }).id);
    for (const [index, data] of strange.entries()) {
      const from = client.frames.length;
      client.socket.send(data);
      expect(await client.response(ids[index], from)).toMatchObject({ success: true });
    }
    // Not a single one of them is a session, a command or a key that was there before.
    const [missing, unknown] = await client.ask(
      { type: 'get_state', sessionId: 'hasOwnProperty' },
      { type: 'ping', dependsOn: ['valueOf'] },
    );
    expect([missing!.errorCode, unknown!.errorCode]).toEqual(['SESSION_NOT_FOUND', 'DEPENDENCY_UNKNOWN']);
    await server.kill('SIGKILL');

    const again = await startServer(dataDir);
    const next = await Client.connect(again);
    const state = await next.answer({ type: 'get_state', sessionId: 's' });
    expect(state.data).toMatchObject({ sessionName: `${half} and ${half}`, queued: { steers: 1 } });
    for (const [index, data] of strange.entries()) {
      const from = next.frames.length;
      next.socket.send(data);
      const { command, replayed } = await next.response(ids[index], from);
      expect([ids[index], replayed]).toEqual([ids[index], command === 'ping' ? undefined : true]);
    }
    await expectWell(again);
  });
});

describe('any mixture of right and wrong fields', () => {
  it('gets one answer per frame', { timeout: 120_000 }, async () => {
    const seed = Number(process.env['HOSTILE_SEED'] ?? Date.now() % 1_000_000);
    console.log(`hostile frames with seed ${seed} (the same again: HOSTILE_SEED=${seed})`);
    const random = new Random(seed);
    const server = await startServer(temporaryFolder());
    const client = await Client.connect(server);
    const { commands } = client.frames[0]!.data.capabilities as { commands: string[] };
    // Each of these goes through the whole journal.
    const slow = new Set(['apply_retention', 'backup', 'compact_journal', 'verify_journal']);
    const quick = commands.filter((command) => !slow.has(command));
    const values: unknown[] = [
      null,
      true,
      0,
      -1,
      1e300,
      '',
      ' ',
      's',
      't',
      'live',
      'accepted',
      '\0',
      '\ud800',
      '__proto__',
    ];
    values.push([], {}, ['lifecycle'], [null], { a: [] }, { delayMs: 1 }, 'x'.repeat(300), 'echo', [
      'frame 0',
      'frame 1',
    ]);
    const fields =
      'sessionId dependsOn idempotencyKey ifSessionVersion message name input engine topics after limit respond';
    const frames = Array.from({ length: 1_500 }, (_, index) => {
      const frame: Record<string, unknown> = {
        type: random.pick(index % 20 === 0 ? commands : quick),
        sessionId: random.pick(['s', 't']),
        message: 'm',
      };
      if (random.chance(60)) frame['name'] = 'n';
      for (let count = random.below(3); count > 0; count -= 1)
        frame[random.pick(fields.split(' '))] = random.pick(values);
      return { ...frame, type: String(frame['type']), id: `frame ${index}` };
    });
    await client.askAll(frames);
    const answers = client.frames.filter(({ type }) => type === 'response');
    expect(answers.map(({ id }) => String(id)).sort()).toEqual(frames.map(({ id }) => id).sort());
    expect(answers.filter(({ success, errorCode }) => !success && errorCode === undefined)).toEqual([]);
    expect(answers.filter(({ errorCode }) => errorCode === 'INTERNAL_ERROR')).toEqual([]);
    expect(new Set(answers.map(({ success }) => success)).size).toBe(2);
    await expectWell(server);
  });
});
