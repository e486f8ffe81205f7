/**
 * What is shown fast is what is shown slowly: entries that are read as far as a fold asks and charts that sleep until somebody
 * looks, against whole entries and charts that are told everything, for every session at every event of what random scripts leave
 * in a file: turns with tools and questions, aborts, restarts in the middle, restored, purged, blanked and redacted sessions,
 * such as expired, and such as were closed and made again.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { expect, it } from 'vitest';
import type { Entry } from '../../actors/entry.ts';
import { pictureAt } from '../../actors/session/lane-fold.ts';
import { createMemoryJournal } from '../../src/journal/memory.ts';
import type { MemoryStore } from '../../src/journal/memory.ts';
import { DirectoryReader } from '../../src/journal/sqlite-reading.ts';
import { createSqliteJournal } from '../../src/journal/sqlite.ts';
import { createSimulatedClock } from '../../src/testing/clock.ts';
import { commit } from '../../src/testing/journal-under-test.ts';
import { ScriptPlayer, scripts, SESSIONS } from '../support/random-script.ts';
import type { PlayerOptions, Step } from '../support/random-script.ts';
import { copyStore, entriesOf } from '../support/store.ts';
import { placesOf } from '../support/told-everything.ts';
import { limits } from '../support/world.ts';

const { mailboxDepthMax } = limits;

/** Sessions live so short that the scripts' waits see some announced, extended and expired. */
const SHORT_LIVED = { baseMs: 90_000, extensionMs: 40_000, extensionsMax: 2, thresholdMs: 45_000 };

interface Plan {
  readonly lives: readonly (readonly Step[])[];
  /** How much of what it wrote the process got to the disk, of 10 parts. */
  readonly cut: number;
  readonly restored: boolean;
  readonly purged: boolean;
  readonly blanked: number;
  readonly redacted: boolean;
  readonly shortLived: boolean;
}

const plans: fc.Arbitrary<Plan> = fc.record({
  lives: fc.array(scripts(30), { minLength: 1, maxLength: 2 }),
  cut: fc.integer({ min: 5, max: 10 }),
  restored: fc.boolean(),
  purged: fc.boolean(),
  blanked: fc.nat(3),
  redacted: fc.boolean(),
  shortLived: fc.boolean(),
});

/** What engines do in between: tools, questions, and a message in the middle. */
function enrich(player: ScriptPlayer): void {
  for (const turn of player.running) {
    turn.emit({ type: 'agent_start' });
    turn.emit({ type: 'tool_execution_start', toolCallId: 't1', toolName: 'read', args: { path: 'ü"\\' } });
    turn.emit({ type: 'extension_ui_request', id: 'q', method: 'confirm', title: 'sure?' });
    turn.emit({ type: 'ui_request_resolved', requestId: 'q', state: 'answered' });
    turn.emit({ type: 'tool_execution_end', toolCallId: 't1', toolName: 'read', result: null, isError: false });
    turn.emit({ type: 'tool_execution_start', toolCallId: 't2', toolName: 'write', args: {} });
    turn.endMessage('with a secret-1234 in it');
  }
}

async function live(plan: Plan): Promise<MemoryStore> {
  const clock = createSimulatedClock();
  const options: PlayerOptions = {
    clock,
    ...(plan.redacted && { redaction: { keys: [], patterns: ['secret-\\d+', 'c1\\d'] } }),
    ...(plan.shortLived && { limits: { lease: SHORT_LIVED } }),
  };
  let store: MemoryStore | undefined;
  for (const [life, steps] of plan.lives.entries()) {
    if (store !== undefined) {
      store = copyStore(store, Math.ceil((store.rows.length * plan.cut) / 10));
      if (plan.restored) await restoreAll(store);
    }
    const player = await ScriptPlayer.start({
      ...options,
      prefix: `${'cd'[life]}`,
      ...(store !== undefined && { store }),
    });
    for (let quarter = 0; quarter < 4; quarter += 1) {
      const from = Math.floor((steps.length * quarter) / 4);
      await player.play(steps.slice(from, Math.floor((steps.length * (quarter + 1)) / 4)));
      const id = `t${life}${quarter}`;
      player.client.send({ type: 'prompt', id, sessionId: SESSIONS[quarter % 2], message: id });
      await player.world.settle();
      enrich(player);
      // Near its end, and a word that puts it off.
      if (plan.shortLived && quarter === 0) {
        player.world.journal.pass();
        await player.world.advance(50_000);
        player.client.send({ type: 'set_session_name', id: `e${life}`, sessionId: 'a', name: 'put off' });
        await player.world.settle();
      }
    }
    // Too long for a turn, and for sessions that live short.
    if (plan.cut % 2 === 0) await player.world.advance(1_900_000);
    player.world.journal.pass();
    await player.world.settle();
    if (plan.purged && life === plan.lives.length - 1) {
      player.client.send({ type: 'purge_session', id: 'purge', sessionId: 'b' });
      player.client.send({ type: 'create_session', id: 'anew', sessionId: 'b' });
      await player.world.settle();
    }
    store = player.world.store;
  }
  return store!;
}

/** What a restore writes: each session that is there gets another epoch. */
async function restoreAll(store: MemoryStore): Promise<void> {
  const journal = createMemoryJournal({ store });
  let { offset } = await journal.open();
  const entries = await journal.scan({ after: 0, limit: offset });
  for (const id of SESSIONS) {
    const lane = `session:${id}`;
    const last = placesOf(
      entries.map(({ entry }) => entry),
      id,
    )
      .at(-1)
      ?.at(-1);
    if (last === undefined || last.picture.context['closed'] !== null) continue;
    const place = {
      offset: (offset += 1),
      lane,
      laneSeq: (await journal.head(lane)) + 1,
      at: entries.at(-1)!.entry.at,
    };
    await commit(journal, [
      { ...place, kind: 'session.restored', sessionId: id, epoch: `restored-${id}`, content: {} },
    ]);
  }
  await journal.close();
}

async function toDisk(dataDir: string, entries: readonly Entry[], blanked: number): Promise<void> {
  const journal = createSqliteJournal({ dataDir });
  try {
    await journal.open();
    await commit(journal, entries);
    const lane = `session:${SESSIONS[blanked]}`;
    if (blanked < SESSIONS.length) await journal.blank({ through: Math.ceil(entries.length / 2), lane });
  } finally {
    await journal.close();
  }
}

it(
  'replay shows at every event what whole entries and charts that are told everything show',
  { timeout: 240_000 },
  async () => {
    const folder = mkdtempSync(join(tmpdir(), 'troupe-replay-'));
    let runs = 0;
    const seen = {
      looked: 0,
      kinds: new Set<string>(),
      marks: new Set<string>(),
      incarnations: 0,
      children: new Set<string>(),
    };
    try {
      await fc.assert(
        fc.asyncProperty(plans, async (plan) => {
          const dataDir = join(folder, String((runs += 1)));
          await toDisk(dataDir, await entriesOf(await live(plan)), plan.blanked);
          const reader = new DirectoryReader(dataDir);
          try {
            const entries = (await reader.scan({ after: 0, limit: 1_000_000 })).map(({ entry }) => entry);
            for (const entry of entries) {
              seen.kinds.add(entry.kind);
              for (const mark of ['blanked', 'redacted', 'interrupted', 'recovered', 'timedOut'])
                if (mark in entry) seen.marks.add(mark);
            }
            for (const id of SESSIONS) {
              const incarnations = placesOf(entries, id);
              seen.incarnations = Math.max(seen.incarnations, incarnations.length);
              for (const [index, places] of incarnations.entries()) {
                const last = places.at(-1)!;
                const isNewest = index === incarnations.length - 1;
                const asked = isNewest ? {} : { epoch: places[0]!.epoch };
                const look = (seq?: number) =>
                  pictureAt(reader, id, { ...asked, ...(seq !== undefined && { seq }), mailboxDepthMax });
                expect(await look()).toEqual(last.picture);
                for (let seq = 0; seq <= last.seq; seq += 1) {
                  const then = places.find((place) => place.seq >= seq)!;
                  expect(await look(seq)).toEqual(then.picture);
                  for (const name of Object.keys(then.picture.children)) seen.children.add(name);
                  seen.looked += 1;
                }
                expect(await look(last.seq + 1)).toEqual({ missing: 'seq', headSeq: last.seq });
              }
            }
          } finally {
            reader.close();
          }
        }),
        { numRuns: 40 },
      );
    } finally {
      rmSync(folder, { recursive: true, force: true });
    }
    // All of it was among what was looked at.
    expect(seen.looked).toBeGreaterThan(300);
    expect(seen.incarnations).toBeGreaterThan(1);
    expect(seen.children).toEqual(new Set(['lane', 'command', 'turn', 'lease']));
    expect(seen.marks).toEqual(new Set(['blanked', 'redacted', 'interrupted', 'recovered', 'timedOut']));
    for (const kind of ['turn.released', 'lease.extended', 'session.expired', 'session.restored', 'session.purged'])
      expect(seen.kinds).toContain(kind);
  },
);
