/**
 * Who may import whom, as a picture of `.config/layers.ts`: an arrow means "may import". A layer that may import everything has
 * one thick arrow to the frame around the others.
 */
import type { Layer } from '../.config/layers.ts';

export function layersMermaid(layers: readonly Layer[]): string {
  const everything = layers.filter(mayImportAll);
  const others = layers.filter((layer) => !mayImportAll(layer));
  const [outermost] = everything.slice(-1);
  return [
    'flowchart TB',
    '  %% Generated from .config/layers.ts by `npm run docs`.',
    '  accTitle: Who may import whom',
    '  accDescr: An arrow from one layer to another means that the first may import the second.',
    ...everything.toReversed().map((layer) => `  ${nodeOf(layer)}`),
    '  subgraph parts[" "]',
    '    direction TB',
    ...others.map((layer) => `    ${nodeOf(layer)}`),
    ...others.flatMap(({ name, layers: allowed }) => allowed.map((other) => `    ${name} --> ${other}`)),
    '  end',
    ...everything.map(({ name }) => `  ${name} ==> parts`),
    ...everything.filter((layer) => layer !== outermost).map(({ name }) => `  ${outermost?.name} ==> ${name}`),
    '',
  ].join('\n');
}

const mayImportAll = ({ layers }: Layer): boolean => layers.includes('*');

function nodeOf({ name, packages, node }: Layer): string {
  const outside = packages.includes('*') ? ['any package'] : [...packages, ...(node ? ['node'] : [])];
  return `${name}["${[name, outside.join(', ') || 'no package'].join('<br/>')}"]`;
}
