/** `troupe paths` as a process: what it prints is read by programs, so its shape is held here field by field. */
import type { AnyEventObject } from 'xstate';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { stateNodes, transitionRefs } from '../../src/testing/chart.ts';
import { models } from '../../src/testing/models.ts';
import { reportPaths } from '../../src/testing/paths.ts';
import { playPath } from '../../src/testing/play.ts';
import { Workplace } from './troupe-process.ts';

vi.setConfig({ testTimeout: 60_000 });

let place: Workplace;
beforeEach(() => {
  place = new Workplace();
});
afterEach(() => place.clear());

interface Report {
  readonly machine: string;
  readonly states: { readonly total: number; readonly covered: number };
  readonly transitions: { readonly total: number; readonly covered: number };
  readonly unreachable: readonly { state: string; event: string; branch: number; reason: string }[];
  readonly paths: readonly { readonly input?: unknown; readonly events: readonly AnyEventObject[] }[];
}

describe('troupe paths', () => {
  it('prints as JSON what covers a chart, in the shape that others read', async () => {
    const { code, stdout, stderr } = await place.run(['paths', 'session', '--format', 'json']).ended;
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    const report = JSON.parse(stdout) as Report;
    expect(Object.keys(report)).toEqual(['machine', 'states', 'transitions', 'unreachable', 'paths']);
    const { machine } = models['session']!;
    expect(report.machine).toBe('session');
    expect(report.states).toEqual({ total: stateNodes(machine).length, covered: stateNodes(machine).length });
    const { length: total } = transitionRefs(machine);
    expect(report.transitions).toEqual({ total, covered: total - report.unreachable.length });
    for (const path of report.paths) expect(Object.keys(path)).toEqual(['input', 'events']);
    expect(place.files).toEqual([]);
  });

  it('prints paths that an actor of the chart takes', async () => {
    const { stdout } = await place.run(['paths', 'turn', '--format', 'json']).ended;
    const { paths } = JSON.parse(stdout) as Report;
    expect(paths.length).toBeGreaterThan(0);
    for (const path of paths) {
      const steps = playPath(models['turn']!.machine, path).slice(1);
      expect(steps).toHaveLength(path.events.length);
      expect(steps.filter(({ taken }) => taken.length === 0)).toEqual([]);
    }
  });

  it('knows every chart by its name, and says of each transition that no path takes why', () => {
    for (const [name, model] of Object.entries(models)) {
      const report = reportPaths(model);
      expect(report.machine).toBe(name);
      for (const each of report.unreachable) {
        expect(Object.keys(each).sort()).toEqual(['branch', 'event', 'reason', 'state']);
        expect(each.reason).not.toBe('');
      }
    }
  });

  it('prints a line for each path to people', async () => {
    const { code, stdout } = await place.run(['paths', 'lane']).ended;
    expect(code).toBe(0);
    expect(stdout).toMatch(/^lane: (\d+) of \1 states, \d+ of \d+ transitions, \d+ paths\n {2}\S/);
  });

  it.each([
    [['paths', 'sesion'], 'there is no machine "sesion"; the nearest one is "session"'],
    [['paths', 'constructor'], 'there is no machine "constructor"'],
    [['paths', 'lane', '--format', 'xml'], '--format must be one of: json, text'],
    [['paths'], "missing required argument 'machine'"],
  ])('refuses %j in one line', async (args, line) => {
    const { code, stdout, stderr } = await place.run(args).ended;
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toContain(line);
    expect(stderr.trimEnd().split('\n')).toHaveLength(1);
  });
});
