/**
 * The commands of `troupe`, and how their problems are told: one line on stderr that names what is wrong and what would be
 * right, and an exit code that a script can tell apart.
 */
import { Command, CommanderError } from 'commander';
import { defaultConfig } from '../config.ts';
import { nearest } from '../config-keys.ts';
import { packageVersion } from '../version.ts';
import { exitCodes, exitCodeTable } from './exit-codes.ts';
import { commanderOptions, flagValues, plannedOption } from './options.ts';
import { Refusal } from './refusal.ts';
import { addTimeTravel, TIME_TRAVEL } from './time-travel.ts';

type Found = Readonly<Record<string, string | boolean>>;

/** Commands of later versions. */
const PLANNED = 'diagram inspect token'.split(' ');

/** Never rejects: what goes wrong is told and becomes the process's exit code. */
export async function runProgram(argv: readonly string[]): Promise<void> {
  try {
    checkCommand(argv[0]);
    await createProgram().parseAsync(argv, { from: 'user' });
  } catch (error) {
    if (error instanceof CommanderError && error.exitCode === 0) return;
    const { lines, exitCode } = refusalOf(error);
    for (const line of lines) process.stderr.write(`troupe: ${line}\n`);
    process.exitCode = exitCode;
  }
}

function createProgram(): Command {
  const program = new Command('troupe')
    .description('Durable actor runtime and server for long-lived agent sessions.')
    .version(packageVersion, '--version', 'print the version')
    .helpOption('--help', 'print this help')
    .helpCommand(false)
    .configureOutput({ outputError: () => undefined })
    .exitOverride();

  const server = program
    .command('serve', { isDefault: true })
    .description('serve clients until told to stop (the default command)')
    .action(async (found: Found) => {
      // Everything that a server needs: loaded only when there is going to be one.
      const { serve } = await import('./serve.ts');
      await serve({ flags: flagValues(found), file: found['config'] as string | undefined });
    });
  for (const option of commanderOptions()) server.addOption(option);

  const verifying = program
    .command('verify')
    .description('check the journal of a data directory, beside a server or without one; changes nothing')
    .option('--json', 'print the report as JSON')
    .action(async (found: Found) => {
      const { verify } = await import('./verify.ts');
      await verify(offline(found));
    });

  const backingUp = program
    .command('backup')
    .description('copy the journal of a data directory into one verified file, beside a server or without one')
    .requiredOption('--out <file>', 'where to; an older backup of that name is replaced when the new one is verified')
    .option('--json', 'print what was copied as JSON')
    .action(async (found: Found) => {
      const { backup } = await import('./backup.ts');
      backup({ ...offline(found), out: String(found['out']) });
    });

  const restoring = program
    .command('restore')
    .argument('<file>', 'a backup')
    .description('make a new data directory from a backup; refuses a directory that is not empty')
    .option('--json', 'print what was restored as JSON')
    .action(async (file: string, found: Found) => {
      const { restore } = await import('./restore.ts');
      restore({ ...offline(found), backup: file });
    });

  addTimeTravel(program);
  // What reads a data directory takes its place from the configuration, as the server does.
  const looking = program.commands.filter((each) => TIME_TRAVEL.has(each.name()));
  for (const command of [verifying, backingUp, restoring, ...looking]) {
    for (const option of commanderOptions()) {
      if (option.long === '--data-dir' || option.long === '--config') command.addOption(option);
    }
  }

  program
    .command('paths')
    .argument('<machine>', 'name of a chart')
    .description('print paths that take every transition of a chart, and what they cover')
    .option('--format <format>', 'text or json', 'text')
    .action(async (machine: string, found: Found) => {
      const { paths } = await import('./paths.ts');
      paths(machine, String(found['format']));
    });

  program
    .command('config')
    .description('show the configuration')
    .option('--print-default', 'print all keys with their defaults, as a file for --config')
    .action(({ printDefault }: Found) => {
      if (printDefault !== true) throw misused('"config" needs --print-default');
      process.stdout.write(`${JSON.stringify(defaultConfig, null, 2)}\n`);
    });

  for (const command of program.commands)
    command.helpOption('--help', 'print this help').copyInheritedSettings(program);
  const options = server.createHelp().visibleOptions(server);
  const width = Math.max(...options.map(({ flags }) => flags.length)) + 2;
  const rows = options.map(({ flags, description }) => `  ${flags.padEnd(width)}${description}`);
  return program.addHelpText(
    'after',
    `\nOptions of serve (the command line counts more than the environment, that more than the file):\n${rows.join('\n')}\n\n` +
      `Exit codes:\n  ${exitCodeTable()}`,
  );
}

/** What commands on the journal of a directory have in common. */
function offline(found: Found) {
  return {
    flags: flagValues(found),
    file: found['config'] as string | undefined,
    json: found['json'] === true,
  };
}

/** Without this the default command would take a misspelt one for its own argument. */
function checkCommand(name: string | undefined): void {
  if (name === undefined || name.startsWith('-')) return;
  const known = ['serve', 'verify', 'history', 'replay', 'export', 'backup', 'restore', 'paths', 'config'];
  if (known.includes(name)) return;
  if (PLANNED.includes(name)) throw misused(`"${name}" is planned and not part of this version yet`);
  throw misused(`there is no command "${name}"; the nearest one is "${nearest(name, known)}" (see troupe --help)`);
}

function refusalOf(error: unknown): Refusal {
  if (error instanceof Refusal) return error;
  if (error instanceof CommanderError) return misused(usageLine(error));
  // A defect: its place is worth more than brevity.
  return new Refusal(exitCodes.failed, String((error as Error).stack ?? error));
}

/** A command line that means nothing here. */
function misused(line: string): Refusal {
  return new Refusal(exitCodes.usage, line);
}

/** Commander's message as one line, and better where more is known. */
function usageLine({ message }: CommanderError): string {
  const flag = /unknown option '(--[^'=]+)/.exec(message)?.[1];
  const planned = flag === undefined ? undefined : plannedOption(flag);
  if (planned !== undefined) return `${flag}: ${planned}`;
  return `${message.replace(/^error: /, '').replace(/\s*\n\s*/g, ' ')} (see troupe --help)`;
}
