/**
 * From what was measured to the rows of the table, with the goals that they are held against. Pure.
 */
import type { LoadResult } from './load.ts';
import type { PingPongResult } from './ping-pong.ts';
import type { Row } from './report.ts';
import {
  ADDED_DISK_MS,
  COMMANDS_PER_SECOND,
  type BootResult,
  type CatchUpFigures,
  type HeapResult,
  type LoopDelayResult,
  type Missing,
  type StormFigures,
} from './single.ts';
import type { ManyResult } from './many.ts';
import type { ReplayFigures, ReplayResult } from './replay.ts';
import { median, medianLatency, type Latency } from './statistics.ts';
import type { TurnsResult } from './turns.ts';

/** One round: each row once. */
export interface Round {
  readonly sync: Latency;
  readonly echo: LoadResult;
  readonly durableOwn: LoadResult;
  readonly durableBroadcast: LoadResult;
  readonly memoryOwn: LoadResult;
  readonly prompts: LoadResult;
  readonly pingName: PingPongResult;
  readonly pingState: PingPongResult;
  readonly readOfWritten: PingPongResult;
  readonly readOfOther: PingPongResult;
  readonly turns: TurnsResult;
}

/** What is measured once. */
export interface Single {
  readonly loopDelay: LoopDelayResult | Missing;
  readonly heap: HeapResult;
  readonly boot: BootResult;
  readonly many: ManyResult;
  readonly replay: ReplayFigures;
  readonly storm: StormFigures;
  readonly catchUp: CatchUpFigures;
}

const LOADS = ['echo', 'durableOwn', 'durableBroadcast', 'memoryOwn', 'prompts'] as const;
const SHORT: Readonly<Record<(typeof LOADS)[number], string>> = {
  echo: 'echo',
  durableOwn: 'durable',
  durableBroadcast: 'broadcast',
  memoryOwn: 'in memory',
  prompts: 'prompts',
};
const PING_PONGS = ['pingName', 'pingState', 'readOfWritten', 'readOfOther'] as const;
/** From here on the client may be what is measured. */
const CLIENT_SHARE_MAX = 0.9;
const NEWCOMER_MS_MAX = 100;
const CATCH_UP_MS_MAX = 500;
/** A page, and what waits to be taken. */
const CATCH_UP_BYTES_MAX = 2 ** 20;
/** What the storm left on purpose counts as well: sessions, and outcomes that are remembered. */
const RESIDENT_RATIO_MAX = 1.25;
const REPLAYED_PER_SECOND = 200_000;

export function rowsOf(
  rounds: readonly Round[],
  { loopDelay, heap, boot, many, replay, storm, catchUp }: Single,
): Row[] {
  const sync = medianLatency(rounds.map((round) => round.sync));
  const pingName = medianLatency(rounds.map(({ pingName }) => pingName.latency));
  const toSync = (of: 'p50' | 'p99'): number =>
    median(rounds.map((round) => round.pingName.latency[of] / round.sync.p50));
  const toEcho = (of: (typeof LOADS)[number]): number =>
    median(rounds.map((round) => round[of].perSecond / round.echo.perSecond));
  const load = (name: string, of: (typeof LOADS)[number], goal?: number): Row => ({
    name,
    figure: loadText(rounds.map((round) => round[of])),
    ratio: `${toEcho(of).toFixed(2)} of echo`,
    ...(goal !== undefined && { goal: `>= ${goal.toFixed(2)} of echo`, met: toEcho(of) >= goal }),
  });
  const latency = (name: string, found: Latency, p99Max?: number): Row => ({
    name,
    figure: latencyText(found),
    ...(p99Max !== undefined && { goal: `p99 <= ${p99Max} ms`, met: found.p99 <= p99Max }),
  });
  const underLoad = (name: string, of: 'readOfWritten' | 'readOfOther'): Row =>
    latency(name, medianLatency(rounds.map((round) => round[of].latency)), 10);
  const during = (of: 'abort' | 'steer' | 'getState'): Latency => medianLatency(rounds.map(({ turns }) => turns[of]));

  return [
    load('Echo of `ws`, 512 outstanding', 'echo'),
    { name: 'Sync: append of 400 bytes and fdatasync', figure: latencyText(sync), ratio: '1.0 sync' },
    load('set_session_name, durable, own lifecycle, 512 outstanding', 'durableOwn', 0.6),
    load('The same, lifecycle broadcast to all 8 connections', 'durableBroadcast'),
    load('The same, own lifecycle, journal in memory', 'memoryOwn'),
    load('prompt to the echo engine, durable, own lifecycle', 'prompts'),
    {
      name: 'set_session_name, durable, one at a time: p50',
      figure: `${pingName.p50.toFixed(2)} ms`,
      ratio: `${toSync('p50').toFixed(1)} syncs`,
      goal: '<= 2.5 syncs',
      met: toSync('p50') <= 2.5,
    },
    {
      name: 'set_session_name, durable, one at a time: p99',
      figure: `${pingName.p99.toFixed(2)} ms`,
      ratio: `${toSync('p99').toFixed(1)} syncs`,
      goal: '<= 15 syncs',
      met: toSync('p99') <= 15,
    },
    latency('get_state, one at a time', medianLatency(rounds.map(({ pingState }) => pingState.latency))),
    latency('abort while 64 turns stream', during('abort'), 50),
    latency('steer while 64 turns stream', during('steer'), 50),
    latency('get_state while 64 turns stream', during('getState'), 50),
    underLoad('get_state under the load of the third row, of a session that it writes to', 'readOfWritten'),
    underLoad('get_state under the load of the third row, of another session', 'readOfOther'),
    loopDelayRow(loopDelay),
    {
      name: `Heap of a live idle session (of ${heap.sessions.toLocaleString('en')})`,
      figure: `${(heap.bytesPerSession / 1024).toFixed(1)} KB`,
      goal: '<= 6 KB',
      met: heap.bytesPerSession <= 6 * 1024,
    },
    {
      name: `attach_session behind ${thousands(catchUp.events)} events, until synced`,
      figure: `p50 ${catchUp.alone.latency.p50.toFixed(0)} ms`,
      goal: `<= ${CATCH_UP_MS_MAX} ms`,
      met: catchUp.alone.latency.p50 <= CATCH_UP_MS_MAX,
    },
    {
      name: `Heap that such a client takes meanwhile, of ${catchUp.clients} at once`,
      figure: `${(catchUp.heapBytesPerClient / 1024).toFixed(0)} KB (p99 ${catchUp.together.latency.p99.toFixed(0)} ms)`,
      goal: `<= ${CATCH_UP_BYTES_MAX / 1024} KB`,
      met: catchUp.heapBytesPerClient <= CATCH_UP_BYTES_MAX,
    },
    {
      name: `A session that is not in memory (of ${many.many.toLocaleString('en')})`,
      figure: `${(many.bytesPerPassive / 1024).toFixed(2)} KB`,
      goal: '<= 0.5 KB',
      met: many.bytesPerPassive <= 512,
    },
    {
      name: `Making and ending a session beside ${many.many.toLocaleString('en')} others, to that beside ${many.few.toLocaleString('en')}`,
      figure: `${many.usBesideMany.toFixed(0)} us (${many.usBesideFew.toFixed(0)} us)`,
      ratio: (many.usBesideMany / many.usBesideFew).toFixed(2),
      goal: '<= 2',
      met: many.usBesideMany <= 2 * many.usBesideFew,
    },
    {
      name: `Boot with ${many.many.toLocaleString('en')} stored sessions, after a stop`,
      figure: `${many.bootMs.toFixed(0)} ms (after kill -9: ${many.bootAfterKillMs.toFixed(0)} ms)`,
      goal: '<= 3,000 ms',
      met: Math.max(many.bootMs, many.bootAfterKillMs) <= 3_000,
    },
    replayRow('settled in one step', replay.instant),
    replayRow('of turns', replay.turns),
    latency('A new client among hostile ones: from connecting to its first answer', storm.newcomer, NEWCOMER_MS_MAX),
    {
      name: 'Memory after a storm of hostile clients, to that before it',
      figure: `${(storm.residentBytes / 2 ** 20).toFixed(0)} MiB`,
      ratio: storm.residentRatio.toFixed(2),
      goal: `<= ${RESIDENT_RATIO_MAX}`,
      met: storm.residentRatio <= RESIDENT_RATIO_MAX,
    },
    {
      name: `Boot on ${boot.entries.toLocaleString('en')} entries of ${boot.sessions.toLocaleString('en')} sessions`,
      figure: `${boot.ms.toFixed(0)} ms (empty: ${boot.emptyMs.toFixed(0)} ms)`,
    },
  ];
}

/** By processor time: a pass takes about a second, in which others may have taken half of the machine. */
function replayRow(of: string, { entries, micros, firstMicros, perSecond }: ReplayResult): Row {
  const rate = 1e6 / micros;
  const figure =
    `${thousands(rate)} entries/s (${micros.toFixed(1)} us, the first time ${firstMicros.toFixed(1)} us; ` +
    `${thousands(perSecond)}/s on the clock)`;
  const goal = `>= ${thousands(REPLAYED_PER_SECOND)} entries/s`;
  return { name: `Replay of ${thousands(entries)} entries, ${of}`, figure, goal, met: rate >= REPLAYED_PER_SECOND };
}

function loopDelayRow(found: LoopDelayResult | Missing): Row {
  const name = `Event loop delay, ${COMMANDS_PER_SECOND.toLocaleString('en')} commands/s, syncs ${ADDED_DISK_MS} ms slower`;
  if ('missing' in found) return { name, figure: `not measured: ${found.missing}` };
  const { p50, p99, max, load } = found;
  const reached = load.perSecond >= COMMANDS_PER_SECOND * 0.98;
  const figure = `p50 ${p50.toFixed(2)}, p99 ${p99.toFixed(2)}, max ${max.toFixed(1)} ms at ${thousands(load.perSecond)}/s`;
  return { name, figure, goal: 'p99 <= 2.5 ms', met: p99 <= 2.5 && reached };
}

/** What has to be known beside the rows. */
/** `others` is the share of the machine that was not the bench's. */
export function notesOf(rounds: readonly Round[], { loopDelay, storm }: Single, others: number | undefined): string[] {
  const share = (of: (typeof LOADS)[number]): number => median(rounds.map((round) => round[of].clientShare));
  const shares = LOADS.map((of) => `${SHORT[of]} ${Math.round(share(of) * 100)} %`).join(', ');
  const bound = LOADS.filter((of) => share(of) > CLIENT_SHARE_MAX);
  const lifecycle = rounds.map(({ durableBroadcast }) => durableBroadcast.lifecyclePerCommand);
  const deltas = median(rounds.map(({ turns }) => turns.deltasPerSecond));
  const { durableOwn } = rounds[0]!;
  return [
    ...(others === undefined ? [] : [othersText(others)]),
    `The client took so much of a core: ${shares}.` +
      (bound.length > 0
        ? ` Where it is near 100 %, it is the client that was measured: ${bound.map((of) => SHORT[of]).join(', ')}.`
        : ''),
    `Lifecycle frames per command: ${durableOwn.lifecyclePerCommand.toFixed(1)} with scope own, ${median(lifecycle).toFixed(1)} broadcast.`,
    `While turns stream, ${thousands(deltas)} deltas per second go to an attached client.`,
    'The event loop is looked at every millisecond: a delay of 1.1 ms means that it was never late.' +
      pausesText(loopDelay),
    `The storm: ${thousands(storm.done.frames)} mutated frames, ${thousands(storm.done.pings)} pings that nobody waits for, ${thousands(storm.done.connections)} connections that break the protocol or say nothing, and frames that never end.`,
    'The heap of a session includes what is remembered of the command that created it.',
  ];
}

/** From here on latencies, and everything beside a load, say more about the others. */
const OTHERS_SHARE_MAX = 0.1;

function othersText(others: number): string {
  const text = `Other processes, and the host of a virtual machine, took ${Math.round(others * 100)} % of all processors meanwhile`;
  return others > OTHERS_SHARE_MAX ? `**${text}: the latencies are theirs as much as Troupe's.**` : `${text}.`;
}

function pausesText(found: LoopDelayResult | Missing): string {
  if ('missing' in found || found.pauses.length === 0) return '';
  const { pauses } = found;
  return ` Of the delays of that row, ${pauses.length} were pauses of the garbage collector, the longest of ${Math.max(...pauses).toFixed(1)} ms.`;
}

/** Commands without exactly one successful answer. */
export function problemsOf(rounds: readonly Round[], { loopDelay, heap, catchUp }: Single): string[] {
  const checked: readonly (readonly [string, { problemCount: number; problems: readonly string[] }])[] = [
    ...rounds.flatMap((round) => [...LOADS, ...PING_PONGS].map((of) => [of, round[of]] as const)),
    ...('missing' in loopDelay ? [] : [['loopDelay', loopDelay.load] as const]),
    ['heap', heap.load],
    ['catchUp', catchUp.alone],
    ['catchUp', catchUp.together],
  ];
  return checked.flatMap(([of, { problemCount, problems }]) => {
    const more = problemCount - problems.length;
    return [...problems, ...(more > 0 ? [`and ${more} more`] : [])].map((problem) => `${of}: ${problem}`);
  });
}

function loadText(results: readonly LoadResult[]): string {
  const micros = (of: 'loop' | 'all'): number =>
    median(results.map(({ serverMicros }) => serverMicros?.[of] ?? Number.NaN));
  const rate = `${thousands(median(results.map(({ perSecond }) => perSecond)))}/s`;
  if (Number.isNaN(micros('loop'))) return rate;
  return `${rate} (${micros('loop').toFixed(1)} us, all threads ${micros('all').toFixed(1)} us)`;
}

function latencyText({ p50, p99 }: Latency): string {
  return `p50 ${p50.toFixed(2)} ms, p99 ${p99.toFixed(2)} ms`;
}

function thousands(value: number): string {
  return Math.round(value).toLocaleString('en');
}
