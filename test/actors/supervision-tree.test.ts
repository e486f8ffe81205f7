/**
 * The literal that says who restarts whom. What stands in it is reviewed here word for word where order decides, and by rules
 * where it has to agree with the charts.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { placeOf, supervisionTree } from '../../actors/supervision-tree.ts';
import type { ChildSpec } from '../../actors/supervision-tree.ts';
import * as machines from '../../machines/index.ts';

/** A node with all that stand above it, the root first. */
interface Node {
  readonly spec: ChildSpec;
  readonly above: readonly ChildSpec[];
}

const nodesOf = (spec: ChildSpec, above: readonly ChildSpec[] = []): Node[] => [
  { spec, above },
  ...(spec.children ?? []).flatMap((child) => nodesOf(child, [...above, spec])),
];
const nodes = nodesOf(supervisionTree);
const charts = Object.values(machines).map(({ id }) => id);

/** A reducer (`fromTransition`) has no chart: the directory is the only actor without one. */
const REDUCERS = ['router'];

const kindOf = (machine: string): string | undefined => {
  const path = fileURLToPath(new URL(`../../machines/${machine}.ts`, import.meta.url));
  return /Kind of state: (\w+)/.exec(readFileSync(path, 'utf8'))?.[1];
};

const outline = (spec: ChildSpec, indent = ''): string[] => [
  `${indent}${spec.id} (${[spec.restart, ...(spec.supervises === undefined ? [] : [spec.supervises.strategy])].join(', ')})`,
  ...(spec.children ?? []).flatMap((child) => outline(child, `${indent}  `)),
];

describe('the supervision tree', () => {
  it('starts what others depend on first, and restarts it with them', () => {
    expect(outline(supervisionTree)).toEqual([
      'root (permanent, restForOne)',
      '  journal (permanent)',
      '  directory (permanent)',
      '    recovery (temporary)',
      '  transports (permanent, oneForOne)',
      '    connection (temporary)',
      '      heartbeat (temporary)',
      '    server (temporary)',
      '  sessions (permanent, oneForOne)',
      '    session (transient)',
      '      lane (temporary)',
      '      turn (temporary)',
      '      lease (temporary)',
      '      command (temporary)',
      '  upkeep (permanent, oneForOne)',
      '    housekeeping (permanent)',
    ]);
  });

  it('has a place for every chart, and names none that does not exist', () => {
    const named = new Set(nodes.map(({ spec }) => spec.machine));
    expect([...named].sort()).toEqual([...charts, ...REDUCERS].sort());
  });

  it('gives every actor an id of its own, under which its place is found', () => {
    expect(new Set(nodes.map(({ spec }) => spec.id)).size).toBe(nodes.length);
    for (const { spec, above } of nodes) {
      const { id, machine, restart, state } = spec;
      const supervisor = above.findLast(({ supervises }) => supervises !== undefined)?.id;
      expect(placeOf(id)).toEqual({ id, machine, restart, state, supervisor });
      expect(placeOf(`${id}:of:many`)).toEqual(placeOf(id));
    }
    expect(placeOf('nobody')).toBeUndefined();
    expect(placeOf('sessionless:1')).toBeUndefined();
  });

  it('says of every actor the kind of state that its chart holds', () => {
    for (const { spec } of nodes) {
      if (REDUCERS.includes(spec.machine)) expect(spec.state).toBe('rebuildable');
      else expect(spec.state, spec.id).toBe(kindOf(spec.machine));
    }
  });

  it('says how often a supervisor restarts, and makes a supervisor of no other chart', () => {
    for (const { spec } of nodes) {
      expect(spec.supervises !== undefined, spec.id).toBe(spec.machine === 'supervision');
      if (spec.supervises === undefined) continue;
      const restarts = spec.children?.some(({ restart }) => restart !== 'temporary') === true;
      expect(spec.supervises.restartsMax > 0, `${spec.id}: it counts what it restarts`).toBe(restarts);
      expect(spec.supervises.periodMs).toBeGreaterThan(0);
    }
  });

  // What is durable must not go on from memory that a defect has touched: it is what its entries say, folded anew.
  it('restarts nothing durable as it was: the journal is read again, and all else of it is folded behind that', () => {
    const order = supervisionTree.children.map(({ id }) => id) as string[];
    const durable = nodes.filter(({ spec }) => spec.state === 'durable');
    expect(durable.map(({ spec }) => spec.id)).toEqual(['journal', 'session', 'turn', 'lease', 'command']);
    for (const { spec, above } of durable) {
      if (spec.id === 'journal') continue;
      const [, branch] = above;
      expect(order.indexOf(branch!.id), 'a journal that was read again folds it').toBeGreaterThan(
        order.indexOf('directory'),
      );
      const parent = above.at(-1)!;
      // One that is restarted by itself is folded from its journal lane; what it starts comes back with that fold alone.
      if (spec.restart === 'temporary') expect([parent.id, parent.state]).toEqual(['session', 'durable']);
      else expect([spec.id, parent.id, parent.supervises?.strategy]).toEqual(['session', 'sessions', 'oneForOne']);
    }
    expect([supervisionTree.supervises.strategy, order[0], order[1]]).toEqual(['restForOne', 'journal', 'directory']);
  });

  it('is what docs/SUPERVISION.md says, figures included', () => {
    const page = readFileSync(fileURLToPath(new URL('../../docs/SUPERVISION.md', import.meta.url)), 'utf8');
    const rows = nodes.map(({ spec: { id, machine } }) => {
      const { restart, state, supervisor = '' } = placeOf(id)!;
      return `| \`${id}\` | ${machine} | ${supervisor} | ${restart} | ${state} |`.replace('|  |', '| |');
    });
    const [, table] = /\| actor \| chart .*\n.*\n((?:\|.*\n)+)/.exec(page) ?? [];
    expect(table?.trimEnd().split('\n')).toEqual(rows);
    const { restartsMax, periodMs, backOffMs, backOffMaxMs } = supervisionTree.supervises;
    expect([periodMs, backOffMs]).toEqual([60_000, 100]);
    expect(page).toContain(`More than ${restartsMax} failures within a minute`);
    expect(page).toContain(`up to ${backOffMaxMs / 1000} seconds`);
    const { supervises } = supervisionTree.children[3];
    expect(page).toContain(
      `more than ${supervises.restartsMax} sessions' failures within ${supervises.periodMs / 1000} s`,
    );
  });

  it('restarts no child of an actor that does not supervise: it lives and dies with its parent', () => {
    for (const { spec, above } of nodes) {
      if (above.at(-1) === undefined || above.at(-1)?.supervises !== undefined) continue;
      expect(spec.restart, spec.id).toBe('temporary');
    }
  });
});
