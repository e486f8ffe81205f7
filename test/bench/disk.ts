/**
 * The disk under the data directories: what one synced append costs, and a way to make it slower.
 */
import { execFileSync } from 'node:child_process';
import { closeSync, fdatasyncSync, mkdirSync, openSync, rmSync, statfsSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { latencyOf, type Latency } from './statistics.ts';

const RECORD_BYTES = 400;

/** Appends records one at a time and syncs each. */
export function syncedAppends(dir: string, windowMs: number): Latency {
  const path = join(dir, 'appends');
  const file = openSync(path, 'w');
  const record = Buffer.alloc(RECORD_BYTES, 'x');
  const times: number[] = [];
  const end = performance.now() + windowMs;
  for (let from = performance.now(); from < end; from = performance.now()) {
    writeSync(file, record);
    fdatasyncSync(file);
    times.push(performance.now() - from);
  }
  closeSync(file);
  rmSync(path);
  return latencyOf(times);
}

const FILE_SYSTEMS: Readonly<Record<number, string>> = {
  0xef53: 'ext4',
  0x58465342: 'xfs',
  0x9123683e: 'btrfs',
  0x01021994: 'tmpfs, which is no disk',
  0x794c7630: 'overlayfs',
};

export function fileSystemOf(dir: string): string {
  const { type } = statfsSync(dir);
  return FILE_SYSTEMS[type] ?? `type 0x${type.toString(16)}`;
}

/**
 * Builds the library that makes syncs slower.
 *
 * @returns the environment of a server that is to use it, or why there is none.
 */
export function slowDisk(dir: string, addedMs: number): { environment: Record<string, string> } | { missing: string } {
  if (process.platform !== 'linux') return { missing: 'a slow disk can be emulated on Linux alone' };
  mkdirSync(dir, { recursive: true });
  const library = join(dir, 'slow-disk.so');
  const source = fileURLToPath(new URL('slow-disk.c', import.meta.url));
  try {
    execFileSync('cc', ['-shared', '-fPIC', '-O2', '-o', library, source, '-ldl'], { stdio: 'pipe' });
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException;
    return { missing: code === 'ENOENT' ? 'there is no C compiler (cc) to emulate a slow disk with' : message };
  }
  return { environment: { LD_PRELOAD: library, SLOW_DISK_MICROS: String(addedMs * 1_000) } };
}
