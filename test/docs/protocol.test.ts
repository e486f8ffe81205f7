/**
 * docs/PROTOCOL.md against the code, both ways: commands, codes, close codes, examples, and the tests that it names.
 */
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { catalog } from '../../src/commands/catalog.ts';
import { createIntake } from '../../src/commands/intake.ts';
import { createRegistry } from '../../src/commands/registry.ts';
import { closeCodes, reconnectHint } from '../../src/protocol/close-codes.ts';
import { errorCodes, isErrorCode } from '../../src/protocol/errors.ts';
import { outgoingFrame } from '../../src/protocol/outgoing.ts';
import { protocolVersion } from '../../src/protocol/version.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));
const page = readFileSync(`${root}/docs/PROTOCOL.md`, 'utf8');
const registry = createRegistry(catalog);

/** The part of the page under a heading, up to the next one of the same or a higher level. */
function section(heading: string): string {
  const start = page.indexOf(`\n${heading}\n`);
  expect(start, `The page has no heading '${heading}'.`).toBeGreaterThanOrEqual(0);
  const rest = page.slice(start + heading.length + 2);
  const level = heading.indexOf(' ');
  const end = rest.search(new RegExp(`^#{1,${level}} `, 'm'));
  return end < 0 ? rest : rest.slice(0, end);
}

function examples(kind: 'command' | 'frame', text = page): string[] {
  return [...text.matchAll(new RegExp('^```json ' + kind + '\\n(.+)\\n```$', 'gm'))].map((block) => block[1] ?? '');
}

describe('docs/PROTOCOL.md', () => {
  it('is about this version', () => {
    expect(page).toContain(`# The protocol, version ${protocolVersion}\n`);
  });

  it('describes every command that there is, and none else', () => {
    const described = [...page.matchAll(/^### `([a-z_]+)`$/gm)].map((heading) => heading[1] ?? '');
    expect(described.toSorted()).toEqual([...registry.types].toSorted());
  });

  it.each(catalog.map((command) => [command.type, command] as const))(
    'says scope, lane and time of %s, and shows it with its answer',
    (type, { scope, lane, timeout }) => {
      const text = section(`### \`${type}\``);
      expect(text).toContain(`Scope \`${scope}\`, ${lane}, ${timeout}.`);
      const commands = examples('command', text).map((example) => JSON.parse(example) as { type: string });
      const frames = examples('frame', text).map((example) => JSON.parse(example) as { command: string });
      expect(commands.map((command) => command.type)).toEqual([type]);
      expect(frames.map(({ command }) => command)).toEqual(frames.map(() => type));
      expect(frames.length).toBeGreaterThan(0);
    },
  );

  it('gives commands as examples that the intake takes', () => {
    const intake = createIntake({ registry, frameBytesMax: 10_000 });
    const refused = examples('command').filter(
      (text) =>
        'refusal' in intake.parse(new TextEncoder().encode(text), { id: 'p', scopes: ['observe', 'drive', 'operate'] }),
    );
    expect(refused).toEqual([]);
  });

  it('gives frames as examples that a server may send', () => {
    const wrong = examples('frame').filter((text) => !outgoingFrame.safeParse(JSON.parse(text)).success);
    expect(wrong).toEqual([]);
    expect(examples('frame').every((text) => text === JSON.stringify(JSON.parse(text)))).toBe(true);
  });

  it('has no example that is not checked', () => {
    const blocks = page.match(/^```\w.*$/gm) ?? [];
    expect(blocks.filter((line) => line !== '```json command' && line !== '```json frame')).toEqual([]);
    expect(blocks.length).toBe(examples('command').length + examples('frame').length);
  });

  it('names every error code, and no other', () => {
    const named = new Set([...page.matchAll(/`([A-Z]+(?:_[A-Z]+)+)`/g)].map((match) => match[1] ?? ''));
    expect([...named].filter((code) => !isErrorCode(code))).toEqual([]);
    const listed = section('## Error codes');
    expect(errorCodes.filter((code) => !listed.includes(`\`${code}\``))).toEqual([]);
  });

  it('says of every close code what the code says', () => {
    const rows = [...section('## Close codes').matchAll(/^\| (\d{4}) \|[^|]+\| (.+) \|$/gm)];
    const said = rows.map((row) => [Number(row[1]), row[2]]);
    const hints = Object.values(closeCodes).map((code) => {
      const hint = reconnectHint(code);
      return [code, hint.reconnect ? `after ${hint.afterMs / 1000} s` : 'no'];
    });
    expect(said).toEqual(hints);
  });

  it('numbers its guarantees', () => {
    const numbers = [...page.matchAll(/^- \*\*G(\d+)\. /gm)].map((match) => Number(match[1]));
    expect(numbers.length).toBeGreaterThan(0);
    expect(numbers).toEqual(numbers.map((_, index) => index + 1));
  });

  it('names a test for every guarantee', () => {
    const guarantees = page.split(/^- \*\*(?=G\d+\. )/m).slice(1);
    const bare = guarantees
      .filter((text) => !/`test\//.test(text.split('\n\n')[0] ?? ''))
      .map((text) => text.slice(0, 3));
    expect(bare).toEqual([]);
  });

  it('names tests that are there', () => {
    const named = [...page.matchAll(/`(test\/[^`:]+)::([^`]+)`/g)].map((match) => ({
      file: match[1] ?? '',
      titles: (match[2] ?? '').split(' > '),
    }));
    expect(named.length).toBeGreaterThan(0);
    const missing = named.filter(({ file, titles }) => {
      if (!existsSync(`${root}/${file}`)) return true;
      const source = readFileSync(`${root}/${file}`, 'utf8');
      return !titles.every((title) => source.includes(title));
    });
    expect(missing).toEqual([]);
  });
});
