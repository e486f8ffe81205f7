/**
 * The generated files against the charts and tables that they come from: first that they are fresh, then that they say what
 * they should, read by other means than they were written.
 */
import { globSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { createMachine } from 'xstate';
import { beforeAll, describe, expect, it } from 'vitest';
import { LAYERS } from '../../.config/layers.ts';
import { supervisionTree } from '../../actors/supervision-tree.ts';
import type { ChildSpec } from '../../actors/supervision-tree.ts';
import * as machines from '../../machines/index.ts';
import { branchesOf, stateNodes, statePath, transitionRefs } from '../../src/testing/chart.ts';
import { diagramOf } from '../../visualizations/diagram.ts';
import { GENERATED_ALONE, generatedFiles } from '../../visualizations/generated.ts';
import { mermaidOf } from '../../visualizations/mermaid.ts';
import { svgOf } from '../../visualizations/svg.ts';
import { breakerMachine } from '../testing/breaker.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const read = (path: string): string => readFileSync(`${root}${path}`, 'utf8');
const charts = Object.values(machines).map((machine) => [machine.id, machine] as const);

describe('the generated files', () => {
  let files: ReadonlyMap<string, string>;
  beforeAll(async () => {
    files = await generatedFiles();
    // Seconds of work, and more of waiting where other tests want the processor as well.
  }, 60_000);

  it('are fresh: `npm run docs` would change nothing', () => {
    for (const [path, text] of files) expect(read(path), `${path} is stale: run npm run docs`).toBe(text);
  });

  it('are all there is: what nothing generates any more is gone', () => {
    const found = globSync(GENERATED_ALONE, { cwd: root });
    expect(found.filter((path) => !files.has(path))).toEqual([]);
  });
});

describe.each(charts)('the pictures of the %s chart', (name, machine) => {
  const nodes = stateNodes(machine);

  it('show every state by its path, with its description', () => {
    const svg = read(`visualizations/machines/${name}.svg`);
    const shown = [...svg.matchAll(/<g data-state="([^"]*)">\n<title>([^<]*)<\/title>/g)].map(([, ...found]) => found);
    expect(new Map(shown as [string, string][])).toEqual(
      new Map(nodes.map((node) => [statePath(node), node.description ?? ''])),
    );
  });

  it('name every event, guard and action that the chart knows', () => {
    const named: unknown[] = nodes.flatMap((node) => [
      ...[...node.entry, ...node.exit],
      ...branchesOf(node).flatMap(([event, branches]) => [
        event,
        ...branches.flatMap((each) => [...each.actions, each.guard]),
      ]),
    ]);
    const types = named.flatMap((item) =>
      item === undefined ? [] : [typeof item === 'string' ? item : (item as { type: string }).type],
    );
    // A delay is shown by its name, and the actions by which XState keeps it are none of the chart's.
    const names = types
      .map((type) => /^xstate\.after\.([^.]+)/.exec(type)?.[1] ?? type)
      .filter((type) => !type.startsWith('xstate.'));
    for (const kind of ['svg', 'mmd']) {
      const picture = read(`visualizations/machines/${name}.${kind}`);
      for (const each of names) expect(picture, `${name}.${kind}`).toContain(each);
    }
  });

  it('are Mermaid that declares every state before the first arrow that names it', () => {
    const text = read(`visualizations/machines/${name}.mmd`);
    const lines = text.split('\n').map((line) => line.trim());
    const declared = new Set(['[*]']);
    for (const line of lines) {
      const [, from, to] = /^(\S+) --> (\S+)/.exec(line) ?? [];
      if (from !== undefined) expect([...declared], line).toEqual(expect.arrayContaining([from, to]));
      const [, box] = /^state "[^"]*" as (\S+) \{$/.exec(line) ?? /^(\S+) : /.exec(line) ?? [];
      if (box !== undefined) declared.add(box);
    }
    expect(declared.size).toBe(nodes.length);
    const starts = nodes
      .filter(({ type }) => type === 'compound')
      .map(({ initial }) => initial.target[0]!.path.join('_'));
    expect(lines.filter((line) => line.startsWith('[*]'))).toHaveLength(starts.length);
    expect(lines).toEqual(expect.arrayContaining(starts.map((start) => `[*] --> ${start}`)));
  });

  it('are JSON from which XState builds a chart with the same states and transitions', () => {
    const rebuilt = createMachine(JSON.parse(read(`visualizations/machines/${name}.json`)) as never);
    expect(stateNodes(rebuilt).map(statePath)).toEqual(nodes.map(statePath));
    expect(transitionRefs(rebuilt)).toEqual(transitionRefs(machine));
  });
});

describe('a picture', () => {
  const diagram = diagramOf(breakerMachine);

  it('says of a delay and of an invoked actor what they are called', () => {
    const text = mermaidOf(diagram);
    expect(text).toContain('open --> halfOpen : after cooldown');
    expect(text).toContain('halfOpen --> open : error probe');
    expect(text).toContain('checking --> open : always [toleratesNone]');
  });

  it('draws what the whole chart takes from each of its states but the one that it leads to', () => {
    const resets = diagram.arrows.filter(({ labels }) => labels.some(({ event }) => event === 'breaker.reset'));
    expect(resets.map(({ from, to }) => `${from} > ${to}`)).toEqual([
      'checking > closed',
      'open > closed',
      'halfOpen > closed',
    ]);
  });

  it('shows text as text', async () => {
    const odd = { ...diagram, description: 'a < b & "c"' };
    expect(await svgOf(odd)).toContain('<desc id="description">a &lt; b &amp; &quot;c&quot;</desc>');
  });
});

describe('the pictures of the supervision tree', () => {
  const nodesOf = (spec: ChildSpec): ChildSpec[] => [spec, ...(spec.children ?? []).flatMap(nodesOf)];
  const nodes = nodesOf(supervisionTree);
  const [svg, mermaid] = [read('visualizations/supervision.svg'), read('visualizations/supervision.mmd')];

  it('show every actor with its rule, its state, its chart and how often it restarts others', () => {
    for (const { id, machine, restart, state, supervises } of nodes) {
      const [, box] = new RegExp(`<g data-actor="${id}">([^]*?)</g>`).exec(svg) ?? [];
      const [, node] = new RegExp(`^  ${id}\\["(.*)"\\]:::${state}$`, 'm').exec(mermaid) ?? [];
      const said = [id, machine, restart, state, ...(supervises === undefined ? [] : [supervises.strategy])];
      if (supervises !== undefined && supervises.restartsMax > 0) {
        said.push(`at most ${supervises.restartsMax} in ${supervises.periodMs / 1000} s`);
      }
      for (const text of said) {
        expect(box, `${id} in the svg`).toContain(text);
        expect(node, `${id} in Mermaid`).toContain(text);
      }
    }
  });

  it('draw a line from every actor to each of its children, in the order of their start, and no other', () => {
    const lines = [...mermaid.matchAll(/^ {2}(\w+) --> (\w+)$/gm)].map(([, from, to]) => `${from} > ${to}`);
    expect(lines.toSorted()).toEqual(
      nodes.flatMap(({ id, children = [] }) => children.map((child) => `${id} > ${child.id}`)).toSorted(),
    );
    expect([...svg.matchAll(/<path class="arrow"/g)]).toHaveLength(nodes.length - 1);
    const shown = [...svg.matchAll(/data-actor="(\w+)"/g)].map(([, id]) => id);
    expect(shown).toEqual(nodes.map(({ id }) => id));
  });
});

describe('the picture of the layers', () => {
  it('has an arrow for every import that is allowed, and no other', () => {
    const text = read('visualizations/layers.mmd');
    const drawn = [...text.matchAll(/^ *(\w+) [-=]=?-?> (\w+)$/gm)].map(([, from, to]) => `${from} > ${to}`);
    const all = LAYERS.filter(({ layers }) => layers.includes('*')).map(({ name }) => name);
    const allowed = LAYERS.flatMap(({ name, layers }) => {
      if (!layers.includes('*')) return layers.map((other) => `${name} > ${other}`);
      return [
        `${name} > parts`,
        ...(name === 'outside' ? all.filter((other) => other !== name) : []).map((other) => `${name} > ${other}`),
      ];
    });
    expect(drawn.toSorted()).toEqual(allowed.toSorted());
    for (const { name } of LAYERS) expect(text).toContain(`${name}["${name}<br/>`);
  });
});
