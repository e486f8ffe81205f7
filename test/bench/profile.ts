/**
 * Where the time of a command goes: `node test/bench/profile.ts` puts the load of the benchmark's third row on the build under
 * Node's sampling profiler and prints, for the event loop and the journal's thread, microseconds per command by stage.
 *
 * A sample belongs to the innermost function on its stack that a stage names. Stages are told by names in the build, so a
 * stage that no longer exists shows up in the one around it, not as a wrong figure.
 */
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { LoadResult } from './load.ts';
import { ClientProcess, startServer } from './processes.ts';
import { createSession, OWN_LIFECYCLE, sessionIds, setSessionName, SHAPE, type Commands } from './workload.ts';

interface Frame {
  readonly functionName: string;
  readonly url: string;
}

interface Profile {
  readonly nodes: readonly { readonly id: number; readonly callFrame: Frame; readonly children?: readonly number[] }[];
  readonly samples: readonly number[];
  readonly timeDeltas: readonly number[];
  /** Microseconds of the monotonic clock. */
  readonly startTime: number;
}

/** A name, and the functions that it stands for, as `function folder/file`. */
type Stage = readonly [name: string, pattern: RegExp];

const IDLE = 'waiting';
const GARBAGE = 'garbage collection';
const REST = 'everything else';

const COMMON: readonly Stage[] = [
  [IDLE, /^\(idle\)/],
  [GARBAGE, /^\(garbage collector\)/],
];

const LOOP: readonly Stage[] = [
  ...COMMON,
  ['validation: the schema of the frame', /^safeParse /],
  ['parse: UTF-8, JSON, nesting, scope', /^parse commands\/intake/],
  ['index of known commands', /(deduplication|settled-commands|outcome-cache)\.js/],
  ['entry: record, fold, version', /^#record actors\/outcomes|^record session\/session/],
  ['frames: four texts', /protocol\/frames\.js/],
  ['outgoing: heads, ASCII or not, end to end', /^write transports\/outgoing/],
  ['journal: entries as text', /^packEntries journal/],
  ['journal: handing the batch over', /journal\/sqlite-thread|^postMessage/],
  ['release: who is told what', /^complete actors\/release-queue/],
  ['admission, mailbox, decision, outcome', /^handle actors\/router/],
  ['router as an actor (xstate)', /xstate/],
  ['turns of the connections', /transports\/(incoming|turnstile)\.js/],
  ['receiving (ws)', /ws\/lib|lib\/(receiver|websocket|buffer-util)\.js/],
];
/** What calls the stages: its own time is that outside of all of them. */
const AROUND: Stage = ['sockets, streams, ticks (Node)', / node:| internal\//];

const JOURNAL: readonly Stage[] = [
  ...COMMON,
  ['hash of the content', /^contentDigest /],
  ['hash of the chain', /^chainHash /],
  ['index by lane', /sqlite-lanes/],
  ['taking batches apart', /sqlite-wire/],
  ['insert (SQLite)', /^#add /],
  ['commit: write-ahead log and waiting for the disk (SQLite)', /^commit journal\/sqlite-entries/],
  ['messages from and to the event loop', /sqlite-worker|^postMessage|receiveMessageOnPort|internal/],
];

const WARMUP_MS = 3_000;
const WINDOW_MS = 6_000;
const SAMPLE_MICROS = 200;

/** Microseconds per stage between two moments. */
function attribute(profile: Profile, stages: readonly Stage[], from: number, to: number): Map<string, number> {
  const self = new Map<number, number>();
  let at = profile.startTime;
  profile.samples.forEach((id, index) => {
    const delta = profile.timeDeltas[index] ?? 0;
    at += delta;
    if (at >= from && at < to) self.set(id, (self.get(id) ?? 0) + delta);
  });
  const nodes = new Map(profile.nodes.map((node) => [node.id, node]));
  const spent = new Map<string, number>();
  const walk = (id: number, outer: string): void => {
    const node = nodes.get(id);
    if (node === undefined) return;
    const { functionName, url } = node.callFrame;
    const name = `${functionName} ${url.split('/').slice(-2).join('/')}`;
    const named = stages.find(([, pattern]) => pattern.test(name))?.[0];
    const stage = named ?? (outer === REST && AROUND[1].test(name) ? AROUND[0] : outer);
    spent.set(stage, (spent.get(stage) ?? 0) + (self.get(id) ?? 0));
    for (const child of node.children ?? []) walk(child, stage);
  };
  walk(profile.nodes[0]?.id ?? 0, REST);
  return spent;
}

function table(title: string, spent: Map<string, number>, commands: number): string {
  const rows = [...spent].filter(([stage]) => stage !== IDLE).sort(([, a], [, b]) => b - a);
  const busy = rows.reduce((sum, [, micros]) => sum + micros, 0);
  const line = (stage: string, micros: number): string =>
    `| ${stage} | ${(micros / commands).toFixed(2)} | ${Math.round((100 * micros) / busy)} % |`;
  return [
    `| ${title} | us per command | share |`,
    '| --- | --- | --- |',
    ...rows.map(([stage, micros]) => line(stage, micros)),
    line('**together**', busy),
  ].join('\n');
}

const now = (): number => Number(process.hrtime.bigint() / 1_000n);

const { values: options } = parseArgs({
  options: { dir: { type: 'string', default: fileURLToPath(new URL('../../node_modules/.cache', import.meta.url)) } },
});
const dir = mkdtempSync(join(options.dir, 'profile-'));
const client = new ClientProcess();
try {
  const profiler = ['--cpu-prof', `--cpu-prof-interval=${SAMPLE_MICROS}`, `--cpu-prof-dir=${dir}`];
  const server = await startServer(['--data-dir', join(dir, 'data')], {}, profiler);
  let nextNumber = 1;
  const load = async (commands: Commands, windowMs: number, count?: number): Promise<LoadResult> => {
    const result = await client.run('load', {
      ...SHAPE,
      ...commands,
      port: server.port,
      serverPid: server.pid,
      firstNumber: nextNumber,
      prologue: OWN_LIFECYCLE,
      warmupMs: 0,
      windowMs,
      ...(count !== undefined && { count }),
    });
    nextNumber += result.sent;
    return result;
  };
  const sessions = sessionIds('s');
  await load(createSession(sessions), 0, sessions.length);
  await load(setSessionName(sessions), WARMUP_MS);
  const from = now();
  const { sent, perSecond } = await load(setSessionName(sessions), WINDOW_MS);
  const to = now();
  await server.stop();

  const profiles = readdirSync(dir)
    .filter((name) => name.endsWith('.cpuprofile'))
    .map((name) => JSON.parse(readFileSync(join(dir, name), 'utf8')) as Profile);
  const isJournal = ({ nodes }: Profile): boolean =>
    nodes.some(({ callFrame }) => callFrame.functionName === 'chainHash');
  console.log(`${Math.round(perSecond)} commands/s under the profiler\n`);
  for (const profile of profiles.sort((a, b) => Number(isJournal(a)) - Number(isJournal(b)))) {
    const journal = isJournal(profile);
    const spent = attribute(profile, journal ? JOURNAL : LOOP, from, to);
    console.log(`${table(journal ? "The journal's thread" : 'The event loop', spent, sent)}\n`);
  }
} finally {
  client.stop();
  rmSync(dir, { recursive: true, force: true });
}
