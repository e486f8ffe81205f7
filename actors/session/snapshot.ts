/**
 * A session as it was behind one of its entries: data, chart, and what waits in its lane.
 *
 * It saves folding what came before, and is trusted only where folding would give the same: made by the same chart, by the same
 * fold and with the same limits. Of another one nothing is taken over, and the lane is folded again. State: derivable.
 */
import { sessionMachine } from '../../machines/session.ts';
import { chartHash } from '../chart-hash.ts';
import type { Limits } from '../limits.ts';
import type { LaneSnapshot } from '../ports.ts';
import { textHash } from '../text-hash.ts';
import { announcedBy, stepsOf } from './chart-step.ts';
import { evolveSource } from './evolve.ts';
import { Evolution } from './evolution.ts';
import { OwedSteps } from './owed-steps.ts';
import { SessionChart } from './session-chart.ts';
import type { SessionFold } from './session-fold.ts';

/** Whose snapshot it is. All of it must be the same, or it is not used. */
export interface Maker {
  readonly form: number;
  readonly machineId: string;
  readonly machineVersion: string;
  readonly chartHash: string;
  readonly foldHash: string;
  readonly mailboxDepthMax: number;
}

interface Body extends Maker, SessionFold {
  readonly seq: number;
}

const FORM = 1;

let known: { readonly chart: string; readonly fold: string } | undefined;

export function snapshotOf(lane: string, fold: SessionFold, limits: Limits): LaneSnapshot {
  const body: Body = { ...makerOf(limits), seq: fold.state.seq, ...fold };
  return { lane, offset: fold.offset, body: JSON.stringify(body) };
}

/** The session behind a snapshot, or why it can't be taken from there. */
export function foldOf(snapshot: LaneSnapshot, limits: Pick<Limits, 'mailboxDepthMax'>): SessionFold | string {
  let body: Body;
  try {
    body = JSON.parse(snapshot.body) as Body;
  } catch {
    return 'it is not JSON';
  }
  const maker = makerOf(limits);
  for (const field of Object.keys(maker) as (keyof Maker)[]) {
    if (body?.[field] !== maker[field]) return `${field} is ${String(body?.[field])} and not ${maker[field]}`;
  }
  return body.offset === snapshot.offset ? body : `it is of offset ${body.offset}`;
}

/** What folds a session now: for whoever keeps something that it made. */
export function makerOf({ mailboxDepthMax }: Pick<Limits, 'mailboxDepthMax'>): Maker {
  known ??= { chart: chartHash(sessionMachine), fold: textHash(foldSource()) };
  const { id: machineId, version: machineVersion = '' } = sessionMachine;
  return { form: FORM, machineId, machineVersion, chartHash: known.chart, foldHash: known.fold, mailboxDepthMax };
}

function foldSource(): string {
  return [evolveSource(), Evolution, stepsOf, announcedBy, OwedSteps, SessionChart].map(String).join('\n');
}
