/**
 * Runs recorded commands again: against a server in memory, with a clock that moves only when something is waited for, and the
 * engines `echo` and `scripted`. `troupe export --as test` writes such bundles.
 *
 * A command is sent when what had happened before it was recorded has happened again: outcomes, and events of turns that were
 * running. Nothing is compared here; what comes out is for the test to hold against what was recorded. State: volatile.
 */
import type { RecordedCommand, ReplayBundle } from './recorded-window.ts';
import type { Replayed } from './replay-ledger.ts';

/** Without moving the clock: gaps that are shorter say more about the machine that recorded them. */
const GAP_MS = 1_000;

/** Runs a bundle to its end, and tells what came of it. What was waited for in vain is missing there. */
export async function replayBundle(bundle: ReplayBundle): Promise<Replayed> {
  // A whole server: only who replays has to load it.
  const { ReplayServer } = await import('./replay-server.ts');
  const server = await ReplayServer.start(bundle);
  const { ledger } = server;
  const ended = (labels: readonly string[] = []) => labels.every((label) => ledger.outcomes.has(label));
  const reached = (events: RecordedCommand['events'] = {}) =>
    Object.entries(events).every(([session, count]) => (ledger.events.get(session)?.length ?? 0) >= count);
  for (const command of bundle.commands) {
    await server.until(() => ended(command.ended) && reached(command.events));
    const due = bundle.startAt + (command.at ?? 0);
    if (due - server.now >= GAP_MS) await server.moveTo(due);
    server.send(command.text, command.as);
  }
  await server.until(() => ended(bundle.ended));
  if (bundle.endAt !== undefined) await server.moveTo(bundle.startAt + bundle.endAt);
  const replayed = structuredClone(ledger.all);
  await server.stop();
  return replayed;
}
