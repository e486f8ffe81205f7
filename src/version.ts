/**
 * The package's version, from its manifest: the nearest one above this file, in a checkout and in an installation alike.
 */
import { readFileSync } from 'node:fs';

export const packageVersion = readVersion(new URL('.', import.meta.url));

function readVersion(folder: URL): string {
  try {
    const manifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8')) as { version: string };
    return manifest.version;
  } catch (error) {
    const parent = new URL('..', folder);
    if (parent.href === folder.href) throw error;
    return readVersion(parent);
  }
}
