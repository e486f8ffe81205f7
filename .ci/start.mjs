// Starts the server as a newcomer does, waits until it says that it listens, and sends SIGTERM to npm alone: the server has
// to get it, drain, and end with npm's exit code 0. A shell left between the two would take the signal and orphan it.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const READY_MS = 60_000;
const DRAIN_MS = 35_000;

const dataDir = mkdtempSync(join(tmpdir(), 'troupe-start-'));
const arguments_ = ['start', '--', '--port', '0', '--data-dir', dataDir];
// A process group of its own, so that a failed run can be cleaned up whole.
const npm = spawn('npm', arguments_, { detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
const exited = new Promise((resolve) => npm.once('exit', (code, signal) => resolve(signal ?? code)));

const within = (promise, ms, what) => {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: nothing within ${ms} ms`)), ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
};

const listening = new Promise((resolve, reject) => {
  let rest = '';
  npm.stdout.on('data', (chunk) => {
    process.stdout.write(chunk);
    const lines = (rest + chunk).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (!line.includes('"msg":"listening"')) continue;
      resolve(JSON.parse(line));
    }
  });
  exited.then((code) => reject(new Error(`npm ended with ${code} before the server listened`)));
});

const accepts = (host, port) =>
  new Promise((resolve) => {
    const socket = connect({ host, port });
    socket.once('connect', () => socket.destroy() && resolve(true));
    socket.once('error', () => resolve(false));
  });

try {
  const { host, port, url } = await within(listening, READY_MS, 'the log line "listening"');
  if (!url) throw new Error('the log line has no url');
  if (!(await accepts(host, port))) throw new Error(`nothing accepts connections at ${host}:${port}`);
  npm.kill('SIGTERM');
  const code = await within(exited, DRAIN_MS, 'the end of npm after SIGTERM');
  if (code !== 0) throw new Error(`npm ended with ${code}, not 0`);
  if (await accepts(host, port)) throw new Error('npm is gone and the server still listens');
  console.log('the server listened, drained and ended with 0');
} catch (error) {
  console.error(`start: ${error.message}`);
  process.exitCode = 1;
} finally {
  // Only what this script started: its group is gone after a good run, and then there is nothing to end.
  try {
    process.kill(-npm.pid, 'SIGKILL');
  } catch {}
  rmSync(dataDir, { recursive: true, force: true });
}
