/**
 * A folder with pi's configuration for the local endpoint, a data directory and a working directory: nothing of the user's
 * own pi is read or written.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface PiHome {
  readonly agentDir: string;
  readonly dataDir: string;
  readonly workDir: string;
  remove(): void;
}

export function makeHome(endpointUrl: string): PiHome {
  const root = mkdtempSync(join(tmpdir(), 'troupe-pi-'));
  const [agentDir, dataDir, workDir] = ['agent', 'data', 'work'].map((name) => join(root, name)) as [
    string,
    string,
    string,
  ];
  for (const folder of [agentDir, workDir]) mkdirSync(folder);
  const model = {
    id: 'test',
    name: 'test',
    reasoning: false,
    input: ['text'],
    contextWindow: 128_000,
    maxTokens: 4_096,
  };
  const provider = { baseUrl: endpointUrl, api: 'openai-completions', apiKey: 'no-secret', models: [model] };
  writeFileSync(join(agentDir, 'models.json'), JSON.stringify({ providers: { local: provider } }));
  // Retries are pi's and tested there: here a failure shall be seen at once.
  const settings = { defaultProvider: 'local', defaultModel: 'test', retry: { enabled: false } };
  writeFileSync(join(agentDir, 'settings.json'), JSON.stringify(settings));
  writeFileSync(join(workDir, 'hello.txt'), 'hello from a file\n');
  return { agentDir, dataDir, workDir, remove: () => rmSync(root, { recursive: true, force: true }) };
}
