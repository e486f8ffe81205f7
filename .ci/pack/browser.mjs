// Runs a module where there is no Node: in a context with the globals of the language and of a browser alone, and without a
// way to load what Node brings along. A contract that clients share must not need a bundler's substitutes.
const script = (specifier) => `
  import { readFileSync } from 'node:fs';
  import { isBuiltin } from 'node:module';
  import { fileURLToPath } from 'node:url';
  import { createContext, SourceTextModule } from 'node:vm';

  const context = createContext({ URL, TextEncoder, TextDecoder, atob, btoa, structuredClone });
  const modules = new Map();
  const load = (url) => {
    if (isBuiltin(url)) throw new Error('needs ' + url + ', which a browser does not have');
    if (!modules.has(url)) modules.set(url, new SourceTextModule(readFileSync(fileURLToPath(url), 'utf8'), { context, identifier: url }));
    return modules.get(url);
  };
  const root = load(import.meta.resolve(${JSON.stringify(specifier)}));
  // Each module resolves what it imports from where it lies.
  await root.link((imported, { identifier }) => load(import.meta.resolve(imported, identifier)));
  await root.evaluate();
  const { frames, outgoingFrame, reconnectHint } = root.namespace;
  const frame = JSON.parse(frames.response('ping', '1', { success: true }, undefined));
  if (!outgoingFrame.safeParse(frame).success) throw new Error('a response does not fit its own schema there');
  if (reconnectHint(1013).reconnect !== true) throw new Error('1013 does not ask to come again there');
  console.log(modules.size + ' modules');
`;

export function runInBrowserLikePlace({ node, run }, specifier) {
  const flags = ['--experimental-vm-modules', '--experimental-import-meta-resolve', '--no-warnings'];
  const printed = run(node, [...flags, '--input-type=module', '-e', script(specifier)]);
  console.log(`${specifier} runs without Node: ${printed.trim()}`);
}
