/**
 * Finds and loads pi's SDK, which is no dependency of Troupe: 150 MB that only those install who use it. It may lie outside
 * of the tree, in any folder in which `npm install` was run.
 *
 * Of pi only what is named here is used, as interfaces of our own: the compiler must not need a package that is not there.
 * Everything that can be wrong ends in one line that says what to do. State: none.
 */
import { readFileSync } from 'node:fs';
import { findPackageJSON } from 'node:module';
import { dirname, join } from 'node:path';
import { pathToFileURL } from 'node:url';

const PACKAGE = '@earendil-works/pi-coding-agent';
/** pi breaks its interfaces with each minor version: the adapter was tested with 0.87.0 and 0.87.1. */
const TESTED = '0.87.x';
const PI_INSTALL = `npm install ${PACKAGE}@0.87.1`;

export interface PiModule {
  getAgentDir(): string;
  createAgentSession(options: Record<string, unknown>): Promise<{ session: PiSession }>;
  ModelRuntime: { create(options: Record<string, unknown>): Promise<PiModels> };
  SessionManager: {
    create(cwd: string, directory: string): PiMemory;
    open(file: string, directory: string, cwd: string): PiMemory;
  };
  SettingsManager: {
    create(cwd: string, agentDir: string, options: { projectTrusted: boolean }): { getGlobalSettings(): object };
    inMemory(settings: object, options: { projectTrusted: boolean }): unknown;
  };
  DefaultResourceLoader: new (options: Record<string, unknown>) => { reload(): Promise<void> };
}

export interface PiModels {
  getModel(provider: string, model: string): PiModel | undefined;
  getModels(): readonly PiModel[];
  /** What is wrong with the configuration files. */
  getError(): string | undefined;
}

export interface PiModel {
  readonly provider: string;
  readonly id: string;
}

/** pi's session file: a tree of entries, of which one branch is the conversation. */
export interface PiMemory {
  getLeafId(): string | null;
  getEntry(id: string): unknown;
  branch(id: string): void;
}

export interface PiEvent {
  readonly type: string;
  readonly [field: string]: unknown;
}

export interface PiSession {
  readonly sessionFile: string | undefined;
  readonly pendingMessageCount: number;
  subscribe(listener: (event: PiEvent) => void): () => void;
  /** Resolves also when the model failed or the run was aborted; rejects, before any event, when it cannot begin. */
  prompt(text: string, options: Record<string, unknown>): Promise<void>;
  /** Enqueues some microtasks later. */
  steer(text: string, images: readonly unknown[]): Promise<void>;
  followUp(text: string, images: readonly unknown[]): Promise<void>;
  clearQueue(): { readonly steering: readonly string[]; readonly followUp: readonly string[] };
  abort(): Promise<void>;
  dispose(): void;
}

/**
 * Looks in each place, a folder with `node_modules` or inside of one.
 *
 * @throws Error of one line.
 */
export async function loadPi(places: readonly string[], nodeVersion = process.versions.node): Promise<PiModule> {
  const found = places.map(manifestFrom).find((path) => path !== undefined);
  if (found === undefined) {
    throw new Error(
      `The engine pi needs the package ${PACKAGE} (tested: ${TESTED}), which is not installed in ${places.join(' or ')}: ` +
        `${PI_INSTALL}, and if that is another folder, name it in TROUPE_PI_PATH`,
    );
  }
  const manifest = readManifest(found);
  if (!isInRange(manifest.version)) {
    throw new Error(`pi ${manifest.version} in ${dirname(found)} is not of the tested range ${TESTED}: ${PI_INSTALL}`);
  }
  if (isOlder(nodeVersion, manifest.node)) {
    throw new Error(`pi ${manifest.version} needs Node ${manifest.node} or later, this is ${nodeVersion}`);
  }
  try {
    const entry = pathToFileURL(join(dirname(found), manifest.entry));
    return checkShape((await import(entry.href)) as Partial<PiModule>);
  } catch (error) {
    const why = error instanceof Error ? error.message.split('\n')[0] : String(error);
    throw new Error(`pi in ${dirname(found)} does not load (${why}): install it again, ${PI_INSTALL}`, {
      cause: error,
    });
  }
}

function manifestFrom(place: string): string | undefined {
  try {
    return findPackageJSON(PACKAGE, join(place, 'from-here.js'));
  } catch {
    return undefined;
  }
}

interface Manifest {
  readonly version: string;
  /** Oldest Node that runs it. */
  readonly node: string;
  readonly entry: string;
}

function readManifest(path: string): Manifest {
  const manifest = JSON.parse(readFileSync(path, 'utf8')) as {
    version: string;
    engines?: { node?: string };
    exports?: { '.'?: { import?: string } };
  };
  return {
    version: manifest.version,
    node: /\d+(\.\d+)*/.exec(manifest.engines?.node ?? '')?.[0] ?? '0',
    entry: manifest.exports?.['.']?.import ?? 'dist/index.js',
  };
}

function isInRange(version: string): boolean {
  return version.startsWith(TESTED.slice(0, -1));
}

function isOlder(version: string, than: string): boolean {
  const [ours, theirs] = [version, than].map((text) => text.split('.').map(Number));
  for (const [index, part] of theirs!.entries()) {
    const difference = (ours![index] ?? 0) - part;
    if (difference !== 0) return difference < 0;
  }
  return false;
}

function checkShape(module: Partial<PiModule>): PiModule {
  const used = ['getAgentDir', 'createAgentSession', 'ModelRuntime', 'SessionManager', 'SettingsManager'] as const;
  for (const name of [...used, 'DefaultResourceLoader'] as const) {
    if (typeof module[name] !== 'function') throw new Error(`it has no ${name}`);
  }
  return module as PiModule;
}
