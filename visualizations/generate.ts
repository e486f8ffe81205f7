/** `npm run docs`: rewrites every generated file that is not fresh, removes what nothing generates, and says which these are. */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { GENERATED_ALONE, generatedFiles } from './generated.ts';

const root = fileURLToPath(new URL('..', import.meta.url));
const files = await generatedFiles();

const read = (path: string): string | undefined => {
  try {
    return readFileSync(join(root, path), 'utf8');
  } catch {
    return undefined;
  }
};

const stale = [...files].filter(([path, text]) => read(path) !== text);
for (const [path, text] of stale) {
  mkdirSync(dirname(join(root, path)), { recursive: true });
  writeFileSync(join(root, path), text);
  console.log(`docs: wrote ${path}`);
}

const orphans = globSync(GENERATED_ALONE, { cwd: root }).filter((path) => !files.has(path));
for (const path of orphans) {
  rmSync(join(root, path));
  console.log(`docs: removed ${path}`);
}

console.log(`docs: ${files.size} files, ${stale.length} written, ${orphans.length} removed`);
