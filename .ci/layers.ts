/**
 * Holds the tree against .config/layers.ts: allowed imports only, one place per vendor package, no cycles (imports of
 * types included). Exits 1 with one line for each offence.
 *
 * A cruise that sees nothing also finds nothing, and reports success: it happens with a compiler it cannot use, or with a
 * pattern that excludes too much. So what was seen is compared with what lies on the disk, module by module, and a file
 * that has imports must have shown some.
 */
import { existsSync, globSync, readFileSync } from 'node:fs';
import { cruise, type ICruiseResult, type IForbiddenRuleType } from 'dependency-cruiser';
import { LAYERS, VENDORS, type Layer } from '../.config/layers.ts';

const FOLDERS = ['machines', 'actors', 'src', 'test', 'visualizations'];
const NOT_OURS = '^(visualizations/dashboard|dist)/';

const npm = (name: string): string => `(^|/)node_modules/(@types/)?${name}/`;

function ruleOf(layer: Layer): IForbiddenRuleType {
  const earlier = LAYERS.slice(0, LAYERS.indexOf(layer)).map((each) => each.path);
  const everything = layer.layers.includes('*');
  const allowed = LAYERS.filter((each) => each === layer || layer.layers.includes(each.name)).map((each) => each.path);
  const packages = layer.packages.includes('*') ? ['(^|/)node_modules/'] : layer.packages.map(npm);
  return {
    name: `layer-${layer.name}`,
    severity: 'error',
    comment: layer.why,
    from: { path: layer.path, pathNot: earlier },
    to: {
      pathNot: [...(everything ? ['^(machines|actors|src)/'] : allowed), ...packages],
      ...(layer.node && { dependencyTypesNot: ['core'] }),
    },
  };
}

const shipped = '^(machines|actors|src)/';
const forbidden: IForbiddenRuleType[] = [
  ...LAYERS.filter((layer) => layer.name !== 'outside').map(ruleOf),
  {
    name: 'layer-unknown',
    severity: 'error',
    comment: 'Every shipped module belongs to a layer of .config/layers.ts.',
    from: { path: shipped, pathNot: LAYERS.map((layer) => layer.path) },
    to: {},
  },
  {
    name: 'vitest-only-in-testing',
    severity: 'error',
    comment: 'The runner is an optional peer, for those who test with src/testing; everything else runs without it.',
    from: { path: shipped, pathNot: '^src/testing/' },
    to: { path: npm('vitest') },
  },
  ...VENDORS.map((vendor): IForbiddenRuleType => {
    const rule = {
      name: `vendor-${vendor.package}`,
      severity: 'error' as const,
      comment: 'One place for each vendor package.',
    };
    return { ...rule, from: { path: shipped, pathNot: vendor.path }, to: { path: npm(vendor.package) } };
  }),
  {
    name: 'shipped-needs-dependency',
    severity: 'error',
    comment: 'What is shipped may use only what an installed package brings along.',
    from: { path: shipped },
    to: { dependencyTypes: ['npm-dev', 'npm-no-pkg', 'npm-unknown'], dependencyTypesNot: ['type-only', 'npm-peer'] },
  },
  {
    name: 'no-cycles',
    severity: 'error',
    comment: 'Imports of types count: a cycle of types is a cycle of knowledge.',
    from: {},
    to: { circular: true },
  },
  {
    name: 'unresolvable',
    severity: 'error',
    comment: 'The imported module does not exist.',
    from: {},
    to: { couldNotResolve: true },
  },
];

/** Modules that lie on the disk and that the cruise did not see, or saw as empty although they import something. */
function unseen(result: ICruiseResult): string[] {
  const seen = new Map(result.modules.map((module) => [module.source, module.dependencies.length]));
  const files = globSync(FOLDERS.map((folder) => `${folder}/**/*.{ts,mts,cts,tsx}`)).filter(
    (file) => !new RegExp(NOT_OURS).test(file),
  );
  return files.filter((file) => {
    const dependencies = seen.get(file);
    if (dependencies === undefined) return true;
    return dependencies === 0 && /^(import|export)\b[^;]*\bfrom\s+['"]/m.test(readFileSync(file, 'utf8'));
  });
}

const { output } = await cruise(
  FOLDERS.filter((folder) => existsSync(folder)),
  {
    ruleSet: { forbidden },
    validate: true,
    tsPreCompilationDeps: true,
    doNotFollow: { path: 'node_modules' },
    exclude: { path: NOT_OURS },
    detectProcessBuiltinModuleCalls: true,
    preserveSymlinks: true,
    outputType: 'json',
  },
  {
    conditionNames: ['types', 'import', 'node', 'default'],
    exportsFields: ['exports'],
    extensions: ['.ts', '.d.ts', '.js'],
  },
);
const result = JSON.parse(String(output)) as ICruiseResult;

const offences = result.summary.violations.map((violation) => {
  const comment = forbidden.find((rule) => rule.name === violation.rule.name)?.comment ?? '';
  const cycle = violation.cycle?.map((step) => step.name).join(' -> ');
  return `${violation.rule.name}: ${violation.from} -> ${cycle ?? violation.to}\n    ${comment}`;
});
offences.push(
  ...unseen(result).map((file) => `unseen: ${file}\n    The check did not see this module or its imports.`),
);

for (const offence of offences) console.error(offence);
const modules = result.modules.filter((module) => FOLDERS.some((folder) => module.source.startsWith(`${folder}/`)));
console.log(`layers: ${modules.length} modules, ${offences.length} offences`);
process.exitCode = offences.length === 0 && modules.length > 0 ? 0 : 1;
