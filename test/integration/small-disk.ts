/**
 * Disks that a test fills and makes room on: a file system of a few mebibytes where one may be mounted, and a limit on the size
 * of files, which every user may set, where not.
 */
import { spawnSync } from 'node:child_process';
import { appendFileSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { temporaryFolder } from './server-process.ts';
import type { ServerOptions, ServerProcess } from './server-process.ts';

export interface SmallDisk {
  readonly kind: string;
  readonly dataDir: string;
  /** What the server has to be started with. */
  readonly options: ServerOptions;
  /** Another program takes all the room that is left. */
  fill(): void;
  /** There is room again, for good. */
  makeRoom(server: ServerProcess): void;
}

const MIB = 1024 * 1024;
const DISK_MIB = 16;
/** Room for the journal of some hundred commands. */
const ROOM_MIB = 1;

export function createSmallDisk(): SmallDisk {
  return mountDisk() ?? limitedFiles();
}

/** From now on every write of the process to a file fails, or none for this reason any more. */
export function limitFiles({ child }: ServerProcess, limit: 0 | 'unlimited'): void {
  const { status, stderr } = spawnSync('prlimit', [`--pid=${child.pid}`, `--fsize=${limit}:`], { encoding: 'utf8' });
  if (status !== 0) throw new Error(`The limit on the size of files could not be set: ${stderr}`);
}

function mountDisk(): SmallDisk | undefined {
  const mountPoint = temporaryFolder();
  const mounted = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${DISK_MIB}m`, 'tmpfs', mountPoint]);
  if (mounted.status !== 0) return undefined;
  onTestFinished(() => void spawnSync('umount', ['--lazy', mountPoint]));
  const dataDir = join(mountPoint, 'data');
  const ballast = join(mountPoint, 'ballast');
  mkdirSync(dataDir);
  writeFileSync(ballast, Buffer.alloc((DISK_MIB - ROOM_MIB) * MIB));
  return {
    kind: 'a small file system',
    dataDir,
    options: {},
    fill() {
      // Page by page: a larger piece leaves what it does not fit into.
      const page = Buffer.alloc(4096);
      try {
        for (;;) appendFileSync(ballast, page);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error;
      }
    },
    makeRoom: () => rmSync(ballast),
  };
}

function limitedFiles(): SmallDisk {
  return {
    kind: 'a limit on the size of files',
    dataDir: temporaryFolder(),
    options: { fileKibMax: ROOM_MIB * 1024 },
    // What a limit leaves is for each file alone.
    fill: () => undefined,
    makeRoom: (server) => limitFiles(server, 'unlimited'),
  };
}
