#!/usr/bin/env node
/**
 * The command `troupe`. Looks at Node's version before anything is loaded that an old one could not even parse.
 */
import { exitCodes } from './exit-codes.ts';
import { nodeProblem } from './node-version.ts';

const problem = nodeProblem(process.versions.node);
if (problem === undefined) {
  void import('./program.ts').then(({ runProgram }) => runProgram(process.argv.slice(2)));
} else {
  process.stderr.write('troupe: ' + problem + '\n');
  process.exitCode = exitCodes.nodeTooOld;
}
