/**
 * Charts in Mermaid's `stateDiagram-v2`, which code hosts and editors draw by themselves.
 *
 * All boxes are declared before the first arrow: Mermaid puts a state that it meets in an arrow into the box around the arrow.
 */
import type { Box, Diagram } from './diagram.ts';
import { labelText } from './diagram.ts';

export function mermaidOf({ name, description, root, arrows }: Diagram): string {
  return [
    'stateDiagram-v2',
    `  %% Generated from machines/${name}.ts by \`npm run docs\`.`,
    `  accTitle: The ${name} chart`,
    `  accDescr: ${description}`,
    ...inside(root, '  '),
    ...arrows.flatMap(({ from, to, labels }) =>
      labels.map((label) => `  ${idOf(from)} --> ${idOf(to)} : ${plain(labelText(label))}`),
    ),
    ...finals(root).map(({ path }) => `  ${idOf(path)} --> [*]`),
    '',
  ].join('\n');
}

const RESERVED = new Set([
  'state',
  'end',
  'note',
  'direction',
  'default',
  'class',
  'style',
  'click',
  'as',
  'hide',
  'scale',
]);

/** A path is no identifier there, and some words are taken. */
function idOf(path: string): string {
  const id = path.replaceAll('.', '_');
  return RESERVED.has(id.toLowerCase()) ? `${id}_` : id;
}

/** A colon or a semicolon would end the text. */
const plain = (text: string): string => text.replace(/[:;]/g, ' ');

const finals = (box: Box): Box[] => box.boxes.filter(({ kind }) => kind === 'final');

function inside(box: Box, indent: string): string[] {
  const lines = box.boxes.map((child) => boxLines(child, indent));
  if (box.kind === 'parallel') return lines.flatMap((each, index) => (index === 0 ? each : [`${indent}--`, ...each]));
  const start = box.initial === undefined ? [] : [`${indent}[*] --> ${idOf(box.initial)}`];
  return [...lines.flat(), ...start];
}

function boxLines(box: Box, indent: string): string[] {
  const id = idOf(box.path);
  if (box.boxes.length === 0) return [box.name, ...box.lines].map((text) => `${indent}${id} : ${plain(text)}`);
  const title = box.lines.length > 0 ? `${box.name} (${box.lines.join('; ')})` : box.name;
  return [
    `${indent}state "${title}" as ${id} {`,
    ...inside(box, `${indent}  `),
    ...finals(box).map(({ path }) => `${indent}  ${idOf(path)} --> [*]`),
    `${indent}}`,
  ];
}
