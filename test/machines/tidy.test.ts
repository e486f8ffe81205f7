/**
 * What every machine file keeps, so that a chart can be read, drawn, persisted and replayed: names instead of inline functions, a
 * sentence for each state, a version, a bound on its microsteps, and no time of its own where its state is durable.
 */
import { globSync, readFileSync } from 'node:fs';
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { AnyStateMachine, AnyStateNode } from 'xstate';
import { describe, expect, it } from 'vitest';
import { effect, effectName, MICROSTEPS_MAX } from '../../machines/effect.ts';
import * as machines from '../../machines/index.ts';
import { stateNodes, statePath } from '../../src/testing/chart.ts';
import { models } from '../../src/testing/models.ts';

const folder = fileURLToPath(new URL('../../machines/', import.meta.url));
const files = globSync('*.ts', { cwd: folder }).filter((file) => !['index.ts', 'effect.ts'].includes(file));
const charts: [string, AnyStateMachine][] = Object.values(machines).map((machine) => [machine.id, machine]);

/** The keys of a config that may hold a function: what makes data from data. */
const MAPPERS = ['params', 'input', 'output'];

function functionsIn(value: unknown, path: readonly string[] = []): string[] {
  if (typeof value === 'function') {
    const allowed = ['context', 'output'].includes(path.join('.')) || MAPPERS.includes(path.at(-1) ?? '');
    return allowed ? [] : [path.join('.')];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, child]) => functionsIn(child, [...path, key]));
}

const withoutFunctions = (value: unknown): unknown => {
  if (Array.isArray(value)) return value.map(withoutFunctions);
  if (typeof value !== 'object' || value === null || Object.getPrototypeOf(value) !== Object.prototype) return value;
  const kept = Object.entries(value).filter(([, child]) => typeof child !== 'function');
  return Object.fromEntries(kept.map(([key, child]) => [key, withoutFunctions(child)]));
};

const nameOf = (item: unknown): string => (typeof item === 'string' ? item : (item as { type: string }).type);

/** Names that a chart uses, by kind. */
function namesUsed(machine: AnyStateMachine): Record<'actions' | 'guards' | 'actors' | 'delays', string[]> {
  const nodes = stateNodes(machine);
  const branches = nodes.flatMap((node) => [...[...node.transitions.values()].flat(), ...(node.always ?? [])]);
  const actions = [
    ...nodes.flatMap(({ entry, exit }) => [...entry, ...exit]),
    ...branches.flatMap((each) => each.actions),
  ];
  return {
    actions: actions.map(nameOf).filter((name) => !name.startsWith('xstate.')),
    guards: branches.flatMap(({ guard }) => (guard === undefined ? [] : [nameOf(guard)])),
    actors: nodes.flatMap(({ invoke }) => invoke.map(({ src }) => String(src))),
    delays: nodes.flatMap(({ config }) => Object.keys((config as { after?: object }).after ?? {})),
  };
}

const kindOf = (name: string): string | undefined =>
  /Kind of state: (durable|rebuildable|volatile)\b/.exec(
    readFileSync(`${folder}${name}.ts`, 'utf8').split('*/')[0] ?? '',
  )?.[1];

describe('the charts', () => {
  it('are one for each file, under its name, and each has a model', () => {
    const names = files.map((file) => basename(file, '.ts')).sort();
    expect(charts.map(([name]) => name).sort()).toEqual(names);
    expect(Object.entries(models).map(([name, { machine }]) => [name, machine.id])).toEqual(
      names.map((name) => [name, name]),
    );
  });

  it('leave every effect to their host, and say which one was run without', () => {
    const unprovided = effect('soundAlarm');
    expect(() => unprovided(undefined, undefined)).toThrow("The effect 'soundAlarm' was run without a host");
    expect(effectName(unprovided)).toBe('soundAlarm');
    for (const [name, machine] of charts) {
      for (const [action, implementation] of Object.entries(machine.implementations.actions)) {
        const own = typeof implementation === 'function' && 'resolve' in implementation;
        expect(own || effectName(implementation) === action, `${name}: '${action}' is neither data nor an effect`).toBe(
          true,
        );
      }
    }
  });
});

describe.each(charts)('the %s chart, as a text', (name, machine) => {
  it('has a description of one sentence for itself and for every state', () => {
    expect(machine.config.description).toMatch(/^[A-Z][^\n]*\.$/);
    const nodes = stateNodes(machine).map((node: AnyStateNode) => [statePath(node), node.description ?? ''] as const);
    const odd = nodes.filter(([, text]) => !/^[A-Z][^\n]*\.$/.test(text) || /[.!?] /.test(text));
    expect(odd).toEqual([]);
  });

  it('carries a version and a bound on its microsteps', () => {
    expect(machine.version).toMatch(/^[1-9]\d*$/);
    expect(machine.options?.maxIterations).toBe(MICROSTEPS_MAX);
  });

  it('names everything that it does: no function but those that map data to data', () => {
    expect(functionsIn(machine.config)).toEqual([]);
  });

  it('is clean JSON otherwise', () => {
    const config = withoutFunctions(machine.config);
    expect(JSON.parse(JSON.stringify(machine.config))).toEqual(config);
  });

  it('implements what it names, and names what it implements', () => {
    const used = namesUsed(machine);
    for (const kind of ['actions', 'guards', 'delays'] as const) {
      const implemented = Object.keys(machine.implementations[kind] as object).sort();
      expect([...new Set(used[kind])].sort(), kind).toEqual(implemented);
    }
    const actors = machine.implementations.actors as object;
    for (const src of used.actors) expect(Object.keys(actors)).toContain(src);
  });

  it('says what kind of state it holds, and leaves time to its host where that is durable', () => {
    const kind = kindOf(name);
    expect(kind, 'the header says "Kind of state: ..."').toBeDefined();
    if (kind !== 'durable') return;
    const { delays, actors } = namesUsed(machine);
    expect([delays, actors], 'neither after nor invoke').toEqual([[], []]);
  });
});
