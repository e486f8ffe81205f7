/**
 * Journals that earlier releases wrote come to the same: their entries fold to the sessions that were there, and a server of
 * today that is started on them knows every outcome that was told, and classifies what was in flight as the recorded one did.
 */
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';
import { audit } from '../support/audit.ts';
import { boot, entriesIn, isKept, sessionsOf } from './outcome.ts';
import type { Expected } from './outcome.ts';
import { scenarios } from './scenarios.ts';

const folder = fileURLToPath(new URL('.', import.meta.url));
const directories = (path: string): string[] =>
  readdirSync(path, { withFileTypes: true }).flatMap((entry) => (entry.isDirectory() ? [entry.name] : []));
const releases = directories(folder);

it('there is a journal of every scenario', () => {
  const kept = releases.flatMap((release) => directories(`${folder}${release}`));
  expect([...new Set(kept)].sort()).toEqual(Object.keys(scenarios).sort());
  expect(releases).toContain('0.1.0-schema-1');
});

describe.each(releases)('journals of %s', (release) => {
  describe.each(directories(`${folder}${release}`))('%s', (name) => {
    const path = `${folder}${release}/${name}`;
    const dataDir = `${path}/data`;
    const expected = JSON.parse(readFileSync(`${path}/expected.json`, 'utf8')) as Expected;

    it('folds to the sessions that were there', async () => {
      const entries = await entriesIn(dataDir);
      expect(entries).toHaveLength(expected.entries);
      expect(audit(entries).problems).toEqual([]);
      const sessions = sessionsOf(entries);
      expect(Object.keys(sessions).sort()).toEqual(Object.keys(expected.sessions).sort());
      // A later release may know more of a session, and nothing else.
      expect(sessions).toMatchObject(expected.sessions);
    });

    it('holds every outcome and every durable event that a client was told', async () => {
      const entries = await entriesIn(dataDir);
      const { outcomes, open } = audit(entries);
      const byId = new Map([...outcomes.values()].map((entry) => [entry.commandId, entry]));
      const told = expected.told.filter((each) => isKept(each) && each.response !== null && byId.has(each.command.id));
      expect(told.length).toBeGreaterThan(0);
      const unkept = expected.told.filter((each) => isKept(each) && each.response !== null && !told.includes(each));
      // Refused before they were admitted, or the answer to an idempotency key.
      const unexplained = unkept.filter(
        ({ response }) => response!['errorCode'] !== 'DEPENDENCY_UNKNOWN' && response!['replayed'] !== true,
      );
      expect(unexplained).toEqual([]);
      for (const { command, response } of told) {
        const { success, errorCode } = byId.get(command.id)!;
        expect([command.id, success, errorCode]).toEqual([command.id, response!['success'], response!['errorCode']]);
      }
      for (const { command, response } of expected.told) {
        if (response === null && !byId.has(command.id))
          expect(open.map((each) => each.commandId)).toContain(command.id);
      }
      const stored = entries.flatMap((entry) => {
        if (entry.kind === 'session.event') return [entry.content.event];
        return entry.kind === 'command.settled' || entry.kind === 'command.finished'
          ? (entry.content.events ?? [])
          : [];
      });
      for (const { event } of expected.events) expect(stored).toContainEqual(event);
    });

    it.each(expected.boots)('is recovered $afterMs ms later as it was then', { timeout: 60_000 }, async (recorded) => {
      const { afterMs } = recorded;
      expect(await boot(dataDir, expected.recordedAt, afterMs, expected.told)).toMatchObject(recorded);
    });

    it('is left as it is', () => {
      expect(readdirSync(dataDir).filter((file) => file === 'lock' || file.endsWith('-shm'))).toEqual([]);
      expect(existsSync(`${dataDir}/journal.db`)).toBe(true);
    });
  });
});
