/**
 * The pi coding agent as an engine, through its SDK (tested with @earendil-works/pi-coding-agent 0.87.x).
 *
 * The SDK is loaded by `prepare` or by the first turn, and not before. It is configured as pi itself is: by the files of its agent directory and
 * by the providers' keys in the environment; extensions are not loaded, because they are code that would run in this
 * process. What pi remembers of a session is in a file of its own below the data directory, and the journal keeps the place
 * in it. Tools run with this process's rights, and what they do outside is at-least-once: pi knows no effect id.
 *
 * State: none between turns; each opens its session anew, so that an idle session costs nothing.
 */
import { join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Engine } from '../../actors/ports.ts';
import { checkInput } from './input.ts';
import { piInput } from './pi/input.ts';
import { loadPi } from './pi/module.ts';
import { runPiTurn, type PiHost } from './pi/turn.ts';
import { refuseTurn, userFailure } from './refused-turn.ts';

/** Where pi and its files are. */
export interface PiOptions {
  /** The server's data directory; pi's files go below `pi/` in it. */
  readonly dataDir: string;
  /** Where pi keeps its configuration; pi's own default (`~/.pi/agent`) when absent. */
  readonly agentDir?: string;
  /**
   * Folder in which pi is installed. When absent, that of the environment variable TROUPE_PI_PATH; without it, the working
   * directory and Troupe's own.
   */
  readonly modulePath?: string;
}

/** Makes the engine of the kind `pi`; the SDK is loaded when a turn needs it. */
export function createPiEngine(options: PiOptions): Engine {
  let host: PiHost | undefined;
  let loading: Promise<PiHost> | undefined;

  async function load(): Promise<PiHost> {
    const { modulePath = process.env['TROUPE_PI_PATH'] } = options;
    const here = fileURLToPath(new URL('.', import.meta.url));
    const pi = await loadPi(modulePath === undefined ? [process.cwd(), here] : [resolve(modulePath)]);
    const agentDir = options.agentDir ?? pi.getAgentDir();
    const files = { authPath: join(agentDir, 'auth.json'), modelsPath: join(agentDir, 'models.json') };
    const models = await pi.ModelRuntime.create({ ...files, allowModelNetwork: false });
    const problem = models.getError();
    if (problem !== undefined) throw new Error(`pi’s configuration in ${agentDir}: ${problem.split('\n')[0]}`);
    host = { pi, models, agentDir, directory: resolve(options.dataDir, 'pi', 'sessions') };
    return host;
  }

  function loaded(): Promise<PiHost> {
    if (host !== undefined) return Promise.resolve(host);
    // A failure is not kept: who installs what was missing need not start the server again.
    loading ??= load().finally(() => (loading = undefined));
    return loading;
  }

  return {
    kind: 'pi',
    capabilities: ['steer', 'follow_up', 'images'],
    get ready() {
      return host !== undefined;
    },
    async prepare() {
      await loaded();
    },
    checkInput(input) {
      const checked = checkInput(piInput, input);
      return 'problem' in checked ? checked.problem : undefined;
    },
    start(request, emit) {
      const checked = checkInput(piInput, request.sessionInput);
      if ('problem' in checked) return refuseTurn(userFailure(`The session's input is not valid: ${checked.problem}`));
      // A session may be older than this process: its turn is then the first that asks for pi.
      return runPiTurn(loaded, checked.input, request, emit);
    },
    forget: () => undefined,
    close: () => Promise.resolve(),
  };
}
