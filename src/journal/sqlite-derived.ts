/**
 * What is derived from the entries and kept beside them: snapshots of lanes, checkpoints of all that a boot needs.
 *
 * A checkpoint is written part by part, each in a transaction of its own, so that no commit waits long for it. Part 0 is its
 * header and makes it whole; with it, as `LEDGER`, comes what the lane ledger has counted by then, so that a boot from here
 * can hold the entries behind it against where the lanes end. Every row carries a digest: damage is a row that is not used.
 * State: derivable at any time.
 */
import { hash as digestOf } from 'node:crypto';
import type { Database, Statement } from 'better-sqlite3';
import type { CheckpointHead, LaneSnapshot } from '../../actors/ports.ts';
import { JournalDamage } from './damage.ts';
import type { SqliteLanes } from './sqlite-lanes.ts';

const HEADER = 0;
const LEDGER = -1;
/** The newest one, and the one before: should the newest turn out to be damaged. */
const CHECKPOINTS_KEPT = 2;

type SnapshotRow = [number, string, string, number | null];

export class SqliteDerived {
  readonly #database: Database;
  readonly #lanes: SqliteLanes;
  readonly #putSnapshot: Statement;
  readonly #getSnapshot: Statement<[number], SnapshotRow>;
  readonly #putPart: Statement;
  readonly #getPart: Statement<[number, number], [Buffer, string]>;
  readonly #heads: Statement<[number], [number, Buffer, string]>;

  constructor(database: Database, lanes: SqliteLanes) {
    this.#database = database;
    this.#lanes = lanes;
    this.#putSnapshot = database.prepare('INSERT OR REPLACE INTO snapshots VALUES (?, ?, ?, unhex(?))');
    const snapshot = `SELECT s."offset", s.body, lower(hex(s.digest)), e.lane_id
      FROM snapshots s LEFT JOIN entries e ON e."offset" = s."offset" WHERE s.lane_id = ?`;
    this.#getSnapshot = database.prepare<[number], SnapshotRow>(snapshot).raw();
    this.#putPart = database.prepare('INSERT OR REPLACE INTO checkpoints VALUES (?, ?, ?, unhex(?))');
    const part = 'SELECT body, lower(hex(digest)) FROM checkpoints WHERE "offset" = ? AND part = ?';
    this.#getPart = database.prepare<[number, number], [Buffer, string]>(part).raw();
    const heads = `SELECT "offset", body, lower(hex(digest)) FROM checkpoints
      WHERE part = ${HEADER} AND "offset" <= ? ORDER BY "offset" DESC`;
    this.#heads = database.prepare<[number], [number, Buffer, string]>(heads).raw();
  }

  /** All in one transaction. Of a lane that has no entry there is nothing to keep. */
  keepSnapshots(snapshots: readonly LaneSnapshot[]): void {
    this.#database
      .transaction(() => {
        for (const { lane, offset, body } of snapshots) {
          const id = this.#lanes.idOf(lane);
          if (id !== undefined) this.#putSnapshot.run(id, offset, body, snapshotDigest({ lane, offset, body }));
        }
      })
      .immediate();
  }

  /** @throws JournalDamage when it is not as it was kept, or its entry is not in this lane. */
  snapshot(lane: string): LaneSnapshot | undefined {
    const id = this.#lanes.idOf(lane);
    const row = id === undefined ? undefined : this.#getSnapshot.get(id);
    if (row === undefined) return undefined;
    const [offset, body, digest, laneId] = row;
    if (laneId !== id) throw new JournalDamage(offset, `has a snapshot of ${lane}, and is not in it`);
    const snapshot = { lane, offset, body };
    if (snapshotDigest(snapshot) !== digest)
      throw new JournalDamage(offset, 'has a snapshot that is not as it was kept');
    return snapshot;
  }

  keepPart(offset: number, part: number, body: Uint8Array): void {
    this.#putPart.run(offset, part, body, partDigest(offset, part, body));
  }

  /** `ledger`: what the lanes amount to now. */
  seal({ offset, header, parts }: CheckpointHead, ledger: Uint8Array): void {
    this.#database
      .transaction(() => {
        this.keepPart(offset, LEDGER, ledger);
        this.keepPart(offset, HEADER, Buffer.from(JSON.stringify({ parts, header })));
        const offsets = this.#heads.all(Number.MAX_SAFE_INTEGER).map(([sealed]) => sealed);
        const oldest = offsets[CHECKPOINTS_KEPT - 1] ?? 0;
        const drop =
          'DELETE FROM checkpoints WHERE "offset" < ? OR ("offset" < ? AND "offset" NOT IN (SELECT value FROM json_each(?)))';
        this.#database.prepare(drop).run(oldest, offset, JSON.stringify(offsets));
      })
      .immediate();
  }

  /** Those that are whole and stand for entries up to `newest`, the newest first. */
  checkpoints(newest: number): CheckpointHead[] {
    return this.#heads.all(newest).flatMap(([offset, body, digest]) => {
      // One that is damaged is none: the one before it is.
      if (partDigest(offset, HEADER, body) !== digest) return [];
      const { parts, header } = JSON.parse(body.toString()) as { parts: number; header: string };
      return [{ offset, header, parts }];
    });
  }

  part(offset: number, part: number): Uint8Array {
    const row = this.#getPart.get(offset, part);
    if (row === undefined) throw new JournalDamage(offset, `has a checkpoint without part ${part}`);
    const [body, digest] = row;
    if (partDigest(offset, part, body) !== digest)
      throw new JournalDamage(offset, `has a checkpoint whose part ${part} is not as it was kept`);
    return body;
  }

  /** What the ledger had counted when the checkpoint was sealed. */
  ledger(offset: number): Uint8Array {
    return this.part(offset, LEDGER);
  }
}

/** What was kept of a lane, or what is wrong with it. */
export type StoredSnapshot = LaneSnapshot & { readonly problem?: string };

/** All snapshots, in order of lanes, of any connection, also one that only reads; none in a file of the form before. */
export function* snapshotsOf(database: Database): Generator<StoredSnapshot> {
  const there = database.prepare(`SELECT 1 FROM sqlite_schema WHERE name = 'snapshots'`).get();
  if (there === undefined) return;
  const next = database
    .prepare<[number], [number, string, ...SnapshotRow]>(
      `SELECT s.lane_id, l.name, s."offset", s.body, lower(hex(s.digest)), e.lane_id FROM snapshots s
        JOIN lanes l ON l.id = s.lane_id LEFT JOIN entries e ON e."offset" = s."offset"
        WHERE s.lane_id > ? ORDER BY s.lane_id LIMIT 1`,
    )
    .raw();
  for (let row = next.get(0); row !== undefined; row = next.get(row[0])) {
    const [id, lane, offset, body, digest, laneId] = row;
    const snapshot = { lane, offset, body };
    if (laneId !== id) yield { ...snapshot, problem: `is no entry of ${lane}, and has a snapshot of it` };
    else if (snapshotDigest(snapshot) !== digest) yield { ...snapshot, problem: 'its snapshot is not as it was kept' };
    else yield snapshot;
  }
}

function snapshotDigest({ lane, offset, body }: LaneSnapshot): string {
  return digestOf('sha256', `${lane}\n${offset}\n${body}`, 'hex');
}

function partDigest(offset: number, part: number, body: Uint8Array): string {
  return digestOf('sha256', Buffer.concat([Buffer.from(`${offset} ${part}\n`), body]), 'hex');
}
