/**
 * What tests of charts and of ports need: published, so that machines, engines and journals written elsewhere can be held to
 * the same.
 */
export { playHistory } from './history.ts';
export { modelOf } from './model.ts';
export type { MachineExamples, MachineModel, Unreachable } from './model.ts';
export { models } from './models.ts';
export { pathsOf, reportPaths, verifyPath, verticesOf } from './paths.ts';
export type { Coverage, PathReport, Vertex, WalkedPath } from './paths.ts';
export { pathTitle, playPath } from './play.ts';
export type { Path, PlayedStep, Position } from './play.ts';
export { transitionTable } from './transition-table.ts';
