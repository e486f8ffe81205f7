/**
 * Every generated file, as text in memory: `npm run docs` writes them, and a test holds them against what lies on the disk.
 *
 * The texts depend on the charts, the tree and tables alone, not on time, place or order of files: fresh files stay as they are.
 */
import { readFile } from 'node:fs/promises';
import { format, resolveConfig } from 'prettier';
import { LAYERS } from '../.config/layers.ts';
import { supervisionTree } from '../actors/supervision-tree.ts';
import { errorTable } from '../src/protocol/errors.ts';
import { models } from '../src/testing/models.ts';
import { transitionTable } from '../src/testing/transition-table.ts';
import { diagramOf } from './diagram.ts';
import { indexPage } from './index-page.ts';
import { layersMermaid } from './layers.ts';
import { mermaidOf } from './mermaid.ts';
import { svgOf } from './svg.ts';
import { treeMermaid, treeSvg } from './tree.ts';

/** Folders (with an ending) that hold generated files alone: what is not generated any more is removed from them. */
export const GENERATED_ALONE = ['visualizations/machines/*', 'test/machines/*.table.txt'];

/** Texts by path from the root of the repository. */
export async function generatedFiles(): Promise<ReadonlyMap<string, string>> {
  const files = new Map<string, string>();
  for (const model of Object.values(models)) {
    const { machine } = model;
    const diagram = diagramOf(machine);
    const path = `visualizations/machines/${machine.id}`;
    files.set(`${path}.mmd`, mermaidOf(diagram));
    files.set(`${path}.svg`, await svgOf(diagram));
    files.set(`${path}.json`, await tidyJson(machine.config, `${path}.json`));
    files.set(`test/machines/${machine.id}.table.txt`, transitionTable(model));
  }
  files.set('visualizations/layers.mmd', layersMermaid(LAYERS));
  files.set('visualizations/supervision.mmd', treeMermaid(supervisionTree));
  files.set('visualizations/supervision.svg', treeSvg(supervisionTree));
  files.set('visualizations/README.md', indexPage(Object.values(models)));
  files.set('docs/ERRORS.md', await withErrorTable('docs/ERRORS.md'));
  return files;
}

/** A page that people wrote around the table of errors: that table, the first one, is replaced, the rest stays. */
async function withErrorTable(path: string): Promise<string> {
  const page = await readFile(new URL(`../${path}`, import.meta.url), 'utf8');
  return page.replace(/(?:^\|.*\n)+/m, `${errorTable().trimEnd()}\n`);
}

/** As the check of the layout wants it. The functions that map data are left out: a chart's names say what they belong to. */
async function tidyJson(value: unknown, path: string): Promise<string> {
  const options = await resolveConfig(new URL('../package.json', import.meta.url));
  return await format(JSON.stringify(value, null, 2), { ...options, filepath: path });
}
