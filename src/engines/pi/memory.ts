/**
 * pi's memory of a session: one file of entries per session, written by pi alone, and the handle that names a place in it.
 *
 * The file's end is not the conversation's end: what an interrupted turn wrote is there as well. A turn therefore starts
 * from the handle that the journal kept, and what comes after it in the file becomes a branch that nobody follows.
 * pi never syncs its file, and the journal must not name what a power cut can take away: `handleOf` syncs first.
 */
import { existsSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { z } from 'zod';
import type { Json } from '../../../actors/message.ts';
import type { PiMemory, PiModule } from './module.ts';

/** The file's name alone: a data directory may be moved. */
const handle = z.object({ sessionFile: z.string().min(1), leafId: z.string().min(1) });

/** What goes wrong is said as a text: a lost memory must not look like a new conversation. */
export function openMemory(
  pi: PiModule,
  directory: string,
  cwd: string,
  resume: Json,
): { memory: PiMemory } | { problem: string } {
  if (resume === null) return { memory: pi.SessionManager.create(cwd, directory) };
  const parsed = handle.safeParse(resume);
  if (!parsed.success) return { problem: 'The session’s handle is not one of pi’s' };
  const file = join(directory, basename(parsed.data.sessionFile));
  // pi would begin a new conversation in silence.
  if (!existsSync(file)) return { problem: `pi’s memory of this session is missing: ${file}` };
  const memory = pi.SessionManager.open(file, directory, cwd);
  if (memory.getEntry(parsed.data.leafId) === undefined) {
    return { problem: `pi’s memory of this session lacks the entry ${parsed.data.leafId}: ${file}` };
  }
  memory.branch(parsed.data.leafId);
  return { memory };
}

/** `undefined` while there is nothing to come back to: pi creates its file with the first answer. */
export async function handleOf(memory: PiMemory, file: string | undefined): Promise<Json | undefined> {
  const leafId = memory.getLeafId();
  if (file === undefined || leafId === null || !existsSync(file)) return undefined;
  await sync(file, 'r+');
  if (process.platform !== 'win32') await sync(dirname(file), 'r');
  return { sessionFile: basename(file), leafId };
}

async function sync(path: string, flags: string): Promise<void> {
  const file = await open(path, flags);
  try {
    await file.sync();
  } finally {
    await file.close();
  }
}
