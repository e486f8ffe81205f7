/**
 * One suite for each port: an engine, a journal or a transport that passes keeps the promises that the runtime builds on.
 * Called inside a test file; the runner is vitest, which whoever uses this installs beside the package.
 */
export { engineConformance } from './engine.ts';
export type { EngineSuite } from './engine-suite.ts';
export { journalConformance } from './journal.ts';
export type { JournalSuite } from '../journal-under-test.ts';
export { transportConformance } from './transport.ts';
export type { TransportClient, TransportSuite, TransportUnderTest } from './transport.ts';
