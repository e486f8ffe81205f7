// A program of a user of the package, compiled strictly and with the declarations of everything that it imports checked as
// well: every subpath has to have types, and those must need nothing that is not installed. `exactOptionalPropertyTypes` is
// not among the settings: the declarations of xstate do not compile with it.
import { mkdirSync, realpathSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

const COMPILER_OPTIONS = {
  target: 'es2023',
  lib: ['es2023', 'esnext.disposable', 'dom'],
  module: 'nodenext',
  types: ['node'],
  strict: true,
  noUncheckedIndexedAccess: true,
  verbatimModuleSyntax: true,
  skipLibCheck: false,
  noEmit: true,
};

/** What somebody would write: an engine of their own, a server in their own program, a client that reads frames. */
const PROGRAM = `
import { checkConfig, createServer, defaultConfig, JournalRefused } from 'troupe';
import type { Config, Engine, Server } from 'troupe';
import type { Journal, SessionEvent, TurnHandle, TurnRequest } from 'troupe/actors';
import { createEchoEngine } from 'troupe/engines/echo';
import { createMemoryJournal } from 'troupe/journal/memory';
import { sessionMachine } from 'troupe/machines';
import { errors, outgoingFrame, reconnectHint } from 'troupe/protocol';
import type { ErrorCode, OutgoingFrame } from 'troupe/protocol';
import { createSimulatedClock } from 'troupe/testing';

const shouting: Engine = {
  ...createEchoEngine(),
  kind: 'shouting',
  start(request: TurnRequest, emit: (event: SessionEvent) => void): TurnHandle {
    return createEchoEngine().start({ ...request, input: { message: String(request.turn) } }, emit);
  },
};
const journal: Journal = createMemoryJournal();
const config: Config = { ...defaultConfig, port: 0 };
export const server: Server = createServer(config, { journal, engines: [shouting], clock: createSimulatedClock() });

export function retryOf(text: string): string {
  const frame: OutgoingFrame = outgoingFrame.parse(JSON.parse(text));
  if (frame.type !== 'response' || frame.success) return 'none';
  const code: ErrorCode = frame.errorCode;
  return errors[code].retry;
}
const checked = checkConfig({ port: 'any' });
export const problem: string | undefined = 'issues' in checked ? checked.issues[0]?.path : undefined;
export const again: boolean = reconnectHint(1013).reconnect;
export const refused: Error = new JournalRefused(sessionMachine.id);
`;

export function compileConsumer({ folder, run, node }, exports) {
  // The one package of types that everybody who uses Node has.
  mkdirSync(join(folder, 'node_modules', '@types'), { recursive: true });
  for (const name of ['@types/node', 'undici-types'])
    symlinkSync(realpathSync(join('node_modules', name)), join(folder, 'node_modules', name));
  const subpaths = Object.keys(exports).filter((subpath) => !subpath.endsWith('.json'));
  const imports = subpaths.map((subpath, index) => `export * as _${index} from '${subpath.replace('.', 'troupe')}';`);
  writeFileSync(join(folder, 'every-subpath.ts'), `${imports.join('\n')}\n`);
  writeFileSync(join(folder, 'program.ts'), PROGRAM);
  const config = { compilerOptions: COMPILER_OPTIONS, files: ['every-subpath.ts', 'program.ts'] };
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify(config));
  const compiler = realpathSync(join('node_modules', 'typescript', 'lib', 'tsc.js'));
  try {
    run(node, [compiler, '-p', 'tsconfig.json', '--pretty', 'false']);
  } catch (error) {
    throw new Error(`the types do not compile for a user:\n${error.stdout}`);
  }
}
