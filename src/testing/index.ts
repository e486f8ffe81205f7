/**
 * What tests of charts and of what stands behind the ports need: paths through a chart, its transition table, a clock and a
 * journal that a test has in its hand, and a server for recorded commands. Needs no test runner; the suites that do are in `./testing/conformance`.
 */
export { createSimulatedClock } from './clock.ts';
export type { SimulatedClock } from './clock.ts';
export { createHeldJournal } from './held-journal.ts';
export type { HeldJournal } from './held-journal.ts';
export { playHistory } from './history.ts';
export { modelOf } from './model.ts';
export type { MachineExamples, MachineModel, Unreachable } from './model.ts';
export { models } from './models.ts';
export { pathsOf, reportPaths, verifyPath, verticesOf } from './paths.ts';
export type { Coverage, PathReport, Vertex, WalkedPath } from './paths.ts';
export { pathTitle, playPath } from './play.ts';
export type { Path, PlayedStep, Position } from './play.ts';
export { replayBundle } from './replay-bundle.ts';
export type { RecordedCommand, ReplayBundle } from './recorded-window.ts';
export type { Replayed, ReplayedOutcome } from './replay-ledger.ts';
export { transitionTable } from './transition-table.ts';
