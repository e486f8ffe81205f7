/**
 * What the command's exit codes mean; `troupe --help` prints this table. State: none.
 */
export const exitCodes = {
  done: 0,
  failed: 1,
  usage: 2,
  address: 3,
  journal: 4,
  engine: 5,
  nodeTooOld: 6,
} as const;

const meanings: Record<keyof typeof exitCodes, string> = {
  done: 'done; a server was told to stop and has drained',
  failed:
    'ended by a failure, which the last log line tells; of verify: the journal is not clean, of backup: none was made, ' +
    'of replay: what was asked for is not there',
  usage: 'an option, a variable or the config file is wrong',
  address: 'host or port cannot be listened on',
  journal: 'the data directory cannot be used',
  engine: 'the engine cannot be used',
  nodeTooOld: 'Node is too old',
};

export function exitCodeTable(): string {
  const rows = Object.entries(exitCodes).map(
    ([name, code]) => `${code}    ${meanings[name as keyof typeof exitCodes]}`,
  );
  return [...rows, '130  told to stop twice with SIGINT', '143  told to stop twice with SIGTERM'].join('\n  ');
}
