/**
 * `troupe paths`: the paths that take every transition of one of the charts, generated from its definition, each played on an
 * actor before it is printed, and what they cover. As JSON it is for programs that test another implementation of the chart.
 * State: none.
 */
import { nearest } from '../config-keys.ts';
import { models } from '../testing/models.ts';
import { reportPaths } from '../testing/paths.ts';
import type { PathReport } from '../testing/paths.ts';
import { pathTitle } from '../testing/play.ts';
import { exitCodes } from './exit-codes.ts';
import { Refusal } from './refusal.ts';

const FORMATS: Readonly<Record<string, (report: PathReport) => string>> = {
  json: (report) => JSON.stringify(report),
  text: (report) => linesOf(report).join('\n'),
};

const formats = Object.keys(FORMATS);

export function paths(machine: string, format: string): void {
  const print = FORMATS[format];
  if (print === undefined) throw new Refusal(exitCodes.usage, `--format must be one of: ${formats.join(', ')}`);
  const names = Object.keys(models);
  const model = Object.hasOwn(models, machine) ? models[machine] : undefined;
  if (model === undefined) {
    const hint = `the nearest one is "${nearest(machine, names)}" of ${names.join(', ')}`;
    throw new Refusal(exitCodes.usage, `there is no machine "${machine}"; ${hint}`);
  }
  process.stdout.write(`${print(reportPaths(model))}\n`);
}

function linesOf({ machine, states, transitions, unreachable, paths }: PathReport): string[] {
  const covered = ({ covered, total }: { covered: number; total: number }): string => `${covered} of ${total}`;
  return [
    `${machine}: ${covered(states)} states, ${covered(transitions)} transitions, ${paths.length} paths`,
    ...paths.map((path) => {
      const start = path.input === undefined ? '' : `${JSON.stringify(path.input)} `;
      return `  ${start}${pathTitle(path)}`;
    }),
    ...unreachable.map(({ state, event, branch, reason }) => {
      return `unreachable: ${state || '(root)'} ${event || '(always)'} branch ${branch}: ${reason}`;
    }),
  ];
}
