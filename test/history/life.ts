/**
 * One life of a server, as a process of its own: `node test/history/life.ts SCENARIO NUMBER DATA_DIR TOLD_FILE`. Leaves behind
 * what its client was told, and ends as the scenario says.
 */
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { Worker } from 'node:worker_threads';
import { Outcomes } from '../../actors/outcomes.ts';
import { checkConfig } from '../../src/config.ts';
import { createServer } from '../../src/server.ts';
import { Line } from './line.ts';
import { scenarios } from './scenarios.ts';
import type { Stage } from './scenarios.ts';

const [scenarioName = '', number = '', dataDir = '', toldFile = ''] = process.argv.slice(2);
const scenario = scenarios[scenarioName]!;
const life = scenario.lives[Number(number)]!;

const checked = checkConfig({ ...scenario.config, port: 0, dataDir });
if ('issues' in checked) throw new Error(JSON.stringify(checked.issues));

let journalThread: Worker | undefined;
const { postMessage } = Worker.prototype;
Worker.prototype.postMessage = function (this: Worker, ...args) {
  journalThread = this;
  return postMessage.apply(this, args);
};

const server = createServer(checked.config);
const { listening } = await server.start();
const line = await Line.connect(listening!.url);
const stage: Stage = {
  line,
  breakOutcomes(sessionId, times) {
    let left = times;
    const { settle } = Outcomes.prototype;
    Outcomes.prototype.settle = function (this: Outcomes, command, ...rest) {
      if (command.sessionId === sessionId && left > 0) {
        left -= 1;
        throw new Error('a planted defect');
      }
      return settle.call(this, command, ...rest);
    };
  },
  async loseJournalThread() {
    const exited = once(journalThread!, 'exit').catch(() => undefined);
    await journalThread!.terminate();
    await exited;
  },
};
await life.play(stage);

const told = line.sent.flatMap((command) => {
  const response = line.frames.findLast((frame) => frame.type === 'response' && frame['id'] === command.id);
  return [{ command, response: response ?? null }];
});
const events = line.frames.filter(({ type, ephemeral }) => type === 'event' && ephemeral !== true);
writeFileSync(toldFile, JSON.stringify({ told, events }));
if (life.end === 'kill') process.kill(process.pid, 'SIGKILL');
await server.stop();
line.close();
