/** What get_command_history tells of a recorded journal is what is in it, however one pages and whatever one asks for. */
import fc from 'fast-check';
import { expect, it } from 'vitest';
import { fileURLToPath } from 'node:url';
import type { Entry } from '../../actors/entry.ts';
import { createMemoryJournal, createMemoryStore } from '../../src/journal/memory.ts';
import { entriesOf } from '../support/store.ts';
import { createWorld } from '../support/world.ts';
import type { Client, World } from '../support/world.ts';
import { entriesIn } from './outcome.ts';

interface Step {
  readonly commandId: string;
  readonly commandType: string;
  readonly phase: string;
  readonly offset: number;
  readonly recordedAt: number;
  readonly lane: string;
  readonly laneKey: string;
  readonly sessionId: string | undefined;
  readonly attempt?: number;
  readonly success?: boolean;
  readonly errorCode?: string | undefined;
  readonly sessionVersion?: number | undefined;
}

/** The trace by rules of the test's own. */
function traceOf(entries: readonly Entry[]): Step[] {
  const identities = new Map<number, Pick<Step, 'commandType' | 'lane'>>();
  return entries.flatMap((entry): Step[] => {
    const { offset, at: recordedAt, lane: laneKey } = entry;
    switch (entry.kind) {
      case 'command.accepted':
      case 'command.settled':
        identities.set(offset, { commandType: entry.commandType, lane: entry.mailbox });
        break;
      case 'command.started':
      case 'command.finished':
        break;
      default:
        return [];
    }
    const sessionId = entry.sessionId ?? (laneKey === 'server' ? undefined : laneKey.slice('session:'.length));
    const identity = identities.get('acceptedOffset' in entry ? entry.acceptedOffset : offset)!;
    const common = { commandId: entry.commandId, ...identity, offset, recordedAt, laneKey, sessionId };
    const step = (phase: string, more: Partial<Step> = {}): Step => ({ ...common, phase, ...more });
    if (entry.kind === 'command.accepted') return [step('command_accepted')];
    if (entry.kind === 'command.started') return [step('command_started', { attempt: entry.attempt })];
    const { success, errorCode, sessionVersion } = entry;
    const finished = step('command_finished', { success, errorCode, sessionVersion });
    if (entry.kind === 'command.finished') return [finished];
    return [step('command_accepted'), step('command_started', { attempt: 1 }), finished];
  });
}

function fits(step: Step, filters: Filters): boolean {
  const { sessionIdFilter, commandId, commandType, lane, outcome, fromTimestamp, toTimestamp } = filters;
  return (
    (sessionIdFilter === undefined || step.sessionId === sessionIdFilter) &&
    (commandId === undefined || step.commandId === commandId) &&
    (commandType === undefined || step.commandType === commandType) &&
    (lane === undefined || step.lane === lane) &&
    (outcome === undefined || (step.phase === 'command_finished' && step.success === (outcome === 'success'))) &&
    step.recordedAt >= (fromTimestamp ?? 0) &&
    step.recordedAt <= (toTimestamp ?? Infinity)
  );
}

type Filters = Partial<
  Record<'sessionIdFilter' | 'commandId' | 'commandType' | 'lane' | 'outcome', string> &
    Record<'fromTimestamp' | 'toTimestamp', number>
>;

/** The recorded journal under a server of today. */
async function worldOn(scenario: string): Promise<{ world: World; client: Client; trace: Step[] }> {
  const dataDir = fileURLToPath(new URL(`./0.1.0-schema-1/${scenario}/data`, import.meta.url));
  const store = createMemoryStore();
  const journal = createMemoryJournal({ store });
  await journal.open();
  const entries = await entriesIn(dataDir);
  await new Promise<void>((resolve, reject) =>
    journal.append(entries, (error) => (error === undefined ? resolve() : reject(error))),
  );
  await journal.close();
  const world = createWorld({ store });
  await world.start();
  await world.advance(1);
  return { world, client: world.connect(), trace: traceOf(await entriesOf(store)) };
}

let asked = 0;

async function ask({ world, client }: { world: World; client: Client }, fields: object) {
  const id = `ask-${(asked += 1)}`;
  client.send({ type: 'get_command_history', id, ...fields });
  for (let round = 0; round < 20 && client.response(id) === undefined; round += 1) await world.settle();
  const response = client.response(id)!;
  expect(response['success']).toBe(true);
  return response['data'] as { entries: Step[]; nextCursor?: string };
}

const orNot = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.option(arbitrary, { nil: undefined, freq: 2 });

it.each(['conversation', 'killed', 'rebuilt'])(
  'History API round-trips trace fixtures: %s',
  { timeout: 60_000 },
  async (scenario) => {
    const on = await worldOn(scenario);
    const { trace } = on;
    expect(trace.length).toBeGreaterThan(20);
    const of = <Key extends keyof Step>(key: Key): fc.Arbitrary<NonNullable<Step[Key]>> =>
      fc.constantFrom(...new Set(trace.flatMap((step) => step[key] ?? [])));
    const questions = fc.record({
      filters: fc.record({
        sessionIdFilter: orNot(of('sessionId')),
        commandId: fc.option(of('commandId'), { nil: undefined, freq: 5 }),
        commandType: orNot(of('commandType')),
        lane: orNot(fc.constantFrom('work', 'control')),
        outcome: orNot(fc.constantFrom('success', 'failure')),
      }),
      times: orNot(fc.tuple(of('recordedAt'), of('recordedAt'))),
      limit: fc.integer({ min: 1, max: 40 }),
      direction: fc.constantFrom('forward', 'backward'),
    });
    await fc.assert(
      fc.asyncProperty(questions, async ({ filters, times, limit, direction }) => {
        const window =
          times === undefined ? {} : { fromTimestamp: Math.min(...times), toTimestamp: Math.max(...times) };
        const given = Object.fromEntries(
          Object.entries({ ...filters, ...window }).filter(([, value]) => value !== undefined),
        ) as Filters;
        const expected = trace.filter((step) => fits(step, given));
        let told: Step[] = [];
        for (let cursor: string | undefined, more = true; more;) {
          const page = await ask(on, { ...given, limit, direction, ...(cursor !== undefined && { cursor }) });
          expect(page.entries.length).toBeLessThanOrEqual(limit);
          told = direction === 'backward' ? [...page.entries, ...told] : [...told, ...page.entries];
          cursor = page.nextCursor;
          more = cursor !== undefined;
        }
        expect(told).toMatchObject(expected.map((step) => withoutUndefined(step)));
        expect(told).toHaveLength(expected.length);
        // A cursor is a place: there and back again, whichever way one came.
        const first = await ask(on, { ...given, limit, direction: 'forward' });
        if (first.nextCursor === undefined) return;
        const back = await ask(on, { ...given, limit: limit + 1, direction: 'backward', cursor: first.nextCursor });
        expect(back.entries).toMatchObject(first.entries.slice(0, -1));
      }),
      { numRuns: 60 },
    );
  },
);

function withoutUndefined(step: Step): object {
  return Object.fromEntries(Object.entries(step).filter(([, value]) => value !== undefined));
}
