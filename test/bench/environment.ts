/** What a run was made on, as far as its figures depend on it. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { cpus, release, totalmem, type } from 'node:os';
import { fileSystemOf } from './disk.ts';
import { setSessionName } from './workload.ts';
import type { Environment } from './report.ts';

export function environmentOf(root: string, dir: string, rounds: number): Environment {
  const processors = cpus();
  return {
    processor: processors[0]?.model.trim() ?? 'unknown processor',
    jsonMicros: jsonMicros(),
    cores: processors.length,
    memory: `${Math.round(totalmem() / 2 ** 30)} GiB`,
    system: systemName(),
    node: process.versions.node,
    fileSystem: fileSystemOf(dir),
    commit: commitOf(root),
    date: new Date().toISOString().slice(0, 10),
    rounds,
  };
}

function systemName(): string {
  const kernel = `${type()} ${release()}`;
  try {
    const name = /^PRETTY_NAME="(.*)"$/m.exec(readFileSync('/etc/os-release', 'utf8'))?.[1];
    return name === undefined ? kernel : `${name}, ${kernel}`;
  } catch {
    return kernel;
  }
}

function commitOf(root: string): string {
  const git = (...args: string[]): string => execFileSync('git', args, { cwd: root, encoding: 'utf8' }).trim();
  try {
    const changed = git('status', '--porcelain', '--', 'machines', 'actors', 'src', 'package.json') !== '';
    return git('rev-parse', '--short', 'HEAD') + (changed ? ' with changes that are not committed' : '');
  } catch {
    return 'unknown';
  }
}

const JSON_TURNS = 20_000;
const JSON_TRIES = 10;

/** Parsing the load's frame and writing it again, at its fastest: tells how fast this machine was meanwhile. */
function jsonMicros(): number {
  const text = setSessionName(['s-00']).commands[0] ?? '';
  const tries = Array.from({ length: JSON_TRIES }, () => {
    const from = performance.now();
    for (let turn = 0; turn < JSON_TURNS; turn += 1) JSON.stringify(JSON.parse(text));
    return ((performance.now() - from) * 1_000) / JSON_TURNS;
  });
  return Math.min(...tries);
}
