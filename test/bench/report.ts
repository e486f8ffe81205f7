/**
 * The figures of a run as a table, for people at a terminal and as a page of the documentation.
 */
export interface Row {
  readonly name: string;
  readonly figure: string;
  /** To a yardstick of the same run. */
  readonly ratio?: string;
  readonly goal?: string;
  /** Absent without a goal. */
  readonly met?: boolean;
}

export interface Environment {
  readonly processor: string;
  /** Parsing and writing the frame once. */
  readonly jsonMicros: number;
  readonly cores: number;
  readonly memory: string;
  readonly system: string;
  readonly node: string;
  readonly fileSystem: string;
  readonly commit: string;
  readonly date: string;
  readonly rounds: number;
}

const HEAD = ['Measurement', 'Figure', 'Ratio', 'Goal', 'Met'] as const;

const cellsOf = ({ name, figure, ratio = '', goal = '', met }: Row): string[] => [
  name,
  figure,
  ratio,
  goal,
  met === undefined ? '' : met ? 'yes' : 'no',
];

export function terminalTable(rows: readonly Row[]): string {
  const lines = [[...HEAD], ...rows.map(cellsOf)];
  const widths = HEAD.map((_, column) => Math.max(...lines.map((cells) => cells[column]!.length)));
  return lines
    .map((cells) =>
      cells
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    )
    .join('\n');
}

export function markdownPage(rows: readonly Row[], notes: readonly string[], environment: Environment): string {
  const { processor, jsonMicros, cores, memory, system, node, fileSystem, commit, date, rounds } = environment;
  const line = (cells: readonly string[]): string => `| ${cells.join(' | ')} |`;
  return `# Benchmarks

Written by \`npm run bench\`; every figure is of one run on one machine, none was typed in.

- Machine: ${processor}, ${cores} cores, ${memory}; data directories on ${fileSystem}
- Its speed meanwhile: ${jsonMicros.toFixed(2)} us to parse the load's frame and write it again, with nothing else
- ${system}, Node ${node}
- Commit ${commit}, ${date}, ${rounds} rounds

${[line(HEAD), line(HEAD.map(() => '---')), ...rows.map((row) => line(cellsOf(row)))].join('\n')}

${notes.map((note) => `- ${note}`).join('\n')}

## How to read it

Throughput and latency depend on the machine and on what else it does, so the goals are ratios to two yardsticks that are
measured in the same run, in turn with everything else: each round measures every row once, and the table shows the median of
the rounds; a ratio is the median of the rounds' own ratios. Goals in milliseconds are not, so a slow machine misses them
sooner; its speed stands above.

- *Echo* is a server of the \`ws\` package that parses each frame and writes it back, one write per frame. What Troupe does
  beyond that (validation, admission, order, the journal on disk, three lifecycle frames) is what the ratio shows.
  Troupe writes the frames of one tick together and the echo does not, which is part of the result.
- *Sync* is the median time of appending 400 bytes to a file and waiting for \`fdatasync\`. A durable answer takes at least one,
  and beside it what the processor does for a round trip over a socket and through two threads: where the disk is fast and the
  processor slow, that is several syncs.

The load is made by a process of its own: 8 connections, 64 commands outstanding on each, written in bursts of 16 frames over
bare TCP. The frame is the same 186 bytes for echo and Troupe. The client checks that every command got exactly one successful
answer, also those before and after the measured window; a run in which one did not ends with an error.
"us" is processor time of the server per command: of its event loop, and of all its threads together.

Syncs are as fast as this disk says they are; a virtual disk with a cache of its own may say so too early. The figures prove
speed, not durability: for that see the tests that kill the server. Where the time of a command goes is in
[PERFORMANCE.md](PERFORMANCE.md).
`;
}
