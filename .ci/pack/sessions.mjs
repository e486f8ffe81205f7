// The installed command at work on one data directory: a server with a WebSocket client, then one on stdin and stdout that
// finds the same session, then the check of the journal that both left behind.
import { spawn } from 'node:child_process';
import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { WebSocket } from 'ws';

const PATIENCE_MS = 30_000;
const SESSION = 'packed';

export async function serveAndVerify(place) {
  const dataDir = join(place.folder, 'data');
  await throughWebSocket(place, dataDir);
  await throughStdio(place, dataDir);
  const report = JSON.parse(place.run('npx', ['--no-install', 'troupe', 'verify', '--data-dir', dataDir, '--json']));
  const { ok, boots, sessions, outcomes, openCommands } = report;
  expectEqual(
    { ok, boots, sessions, outcomes, openCommands },
    { ok: true, boots: 2, sessions: 1, outcomes: 3, openCommands: 0 },
  );
  rmSync(dataDir, { recursive: true });
}

async function throughWebSocket(place, dataDir) {
  const troupe = join(place.folder, 'node_modules', '.bin', 'troupe');
  const server = start(place, troupe, ['serve', '--port', '0', '--data-dir', dataDir]);
  try {
    const { url } = await server.line((line) => line.msg === 'listening');
    const socket = new WebSocket(url.replace(/^http/, 'ws'));
    const answers = new Map();
    const all = new Promise((resolve, reject) => {
      socket.on('error', reject);
      socket.on('message', (data) => {
        const frame = JSON.parse(data);
        if (frame.type !== 'response') return;
        answers.set(frame.id, frame);
        if (frame.id === 'read') resolve();
      });
    });
    await within(new Promise((resolve) => socket.once('open', resolve)), 'the WebSocket');
    socket.send(JSON.stringify({ type: 'create_session', id: 'create', sessionId: SESSION }));
    socket.send(JSON.stringify({ type: 'prompt', id: 'prompt', sessionId: SESSION, message: 'hello packed world' }));
    socket.send(JSON.stringify({ type: 'get_messages', id: 'read', sessionId: SESSION, dependsOn: ['prompt'] }));
    await within(all, 'the answers over the WebSocket');
    expectEqual(
      [...answers.values()].map(({ id, success }) => [id, success]),
      [
        ['create', true],
        ['prompt', true],
        ['read', true],
      ],
    );
    expectEqual(
      answers.get('read').data.messages.map(({ role }) => role),
      ['user', 'assistant'],
    );
    server.child.kill('SIGTERM');
    expectEqual(await within(server.exited, 'the end after SIGTERM'), 0);
  } finally {
    server.child.kill('SIGKILL');
  }
}

async function throughStdio(place, dataDir) {
  const arguments_ = ['--no-install', 'troupe', 'serve', '--stdio', '--data-dir', dataDir];
  const server = start(place, 'npx', arguments_);
  try {
    const say = (frame) => server.child.stdin.write(`${JSON.stringify(frame)}\n`);
    await server.line(({ type }) => type === 'server_ready');
    say({ type: 'prompt', id: 'prompt', sessionId: SESSION, message: 'hello packed world' });
    say({ type: 'prompt', id: 'again', sessionId: SESSION, message: 'still here?' });
    // The first one was answered by the server before, and is answered with what that one stored.
    const { replayed } = await server.line(({ type, id }) => type === 'response' && id === 'prompt');
    const { success } = await server.line(({ type, id }) => type === 'response' && id === 'again');
    expectEqual({ replayed, success }, { replayed: true, success: true });
    server.child.stdin.end();
    expectEqual(await within(server.exited, 'the end after the end of the input'), 0);
  } finally {
    server.child.kill('SIGKILL');
  }
}

/** A process whose stdout is lines of JSON: the log, or frames. */
function start({ folder, env }, file, arguments_) {
  console.log(`$ ${[file.split('/').pop(), ...arguments_].join(' ')}`);
  const child = spawn(file, arguments_, { cwd: folder, env, stdio: ['pipe', 'pipe', 'inherit'] });
  const exited = new Promise((resolve) => child.once('close', (code, signal) => resolve(signal ?? code)));
  const lines = [];
  const waiting = new Set();
  createInterface({ input: child.stdout }).on('line', (text) => {
    lines.push(JSON.parse(text));
    for (const look of waiting) look();
  });
  const line = (fits) =>
    within(
      new Promise((resolve, reject) => {
        const look = () => {
          const found = lines.find(fits);
          if (found !== undefined) resolve(found);
        };
        waiting.add(look);
        exited.then((code) => reject(new Error(`it ended with ${code}: ${JSON.stringify(lines)}`)));
        look();
      }),
      `the line that ${fits}`,
    );
  return { child, exited, line };
}

function within(promise, what) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${PATIENCE_MS} ms`)), PATIENCE_MS);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}

function expectEqual(found, expected) {
  const [is, should] = [JSON.stringify(found), JSON.stringify(expected)];
  if (is !== should) throw new Error(`found ${is}, expected ${should}`);
}
