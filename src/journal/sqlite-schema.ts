/**
 * The tables of the journal's file, and how a file of the version before gets them.
 *
 * The version stands in the header (`user_version`). A newer one is refused, the one before is migrated when the journal is
 * opened for writing, in one transaction: a crash in between leaves the file as it was. Who only reads takes both. State: durable.
 */
import type { Database } from 'better-sqlite3';

/** Version of the tables that this code writes. */
export const SCHEMA_VERSION = 3;

/** The oldest one that can be migrated and read. */
export const SCHEMA_VERSION_MIN = 1;

const LANES = `
  CREATE TABLE lanes (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE
  ) STRICT;
`;

/**
 * `version` is the form of the record (see entry.ts). `hash` chains a lane. `fingerprint` is for entries whose content does
 * not carry the command as it was received any more: of all others it is taken from there when somebody asks, because hardly
 * anyone does. `digest` is the content's, of an entry whose content was blanked.
 */
const entries = (added: string): string => `
  CREATE TABLE entries (
    "offset" INTEGER PRIMARY KEY,
    lane_id INTEGER NOT NULL REFERENCES lanes (id),
    lane_seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    meta TEXT NOT NULL,
    content TEXT NOT NULL,
    hash BLOB NOT NULL,
    fingerprint BLOB${added}
  ) STRICT;
`;

/** The index by lane; it may be behind (see sqlite-lanes.ts). */
const PLACES = `
  CREATE TABLE places (
    lane_id INTEGER NOT NULL REFERENCES lanes (id),
    "offset" INTEGER NOT NULL REFERENCES entries ("offset"),
    PRIMARY KEY (lane_id, "offset")
  ) WITHOUT ROWID, STRICT;
`;

/**
 * What can be derived from the entries, and saves folding them: the newest fold of each session, and of all that a boot needs
 * (see sqlite-derived.ts for the parts of a checkpoint). The digests tell whether it is as it was written.
 */
const DERIVED = `
  CREATE TABLE snapshots (
    lane_id INTEGER PRIMARY KEY REFERENCES lanes (id),
    "offset" INTEGER NOT NULL,
    body TEXT NOT NULL,
    digest BLOB NOT NULL
  ) STRICT;
  CREATE TABLE checkpoints (
    "offset" INTEGER NOT NULL,
    part INTEGER NOT NULL,
    body BLOB NOT NULL,
    digest BLOB NOT NULL,
    PRIMARY KEY ("offset", part)
  ) WITHOUT ROWID, STRICT;
`;

/** Version 2 made room for anchors, and dropped nothing. */
const ANCHORS_2 = `
  CREATE TABLE anchors (
    lane_id INTEGER PRIMARY KEY REFERENCES lanes (id),
    "offset" INTEGER NOT NULL REFERENCES entries ("offset"),
    dropped_offset INTEGER NOT NULL,
    dropped_lane_seq INTEGER NOT NULL,
    dropped_hash BLOB NOT NULL
  ) STRICT;
`;

/**
 * An anchor says where a lane begins whose older entries were dropped: behind the entry with `dropped_offset`; "offset" is that of
 * the lane's entry that folding begins with, `dropped_sum` what the lane ledger had counted of those that were dropped, `remains` how
 * many of those are left in the table of that name, as remains.ts says.
 */
const DROPPED = `
  CREATE TABLE anchors (
    lane_id INTEGER PRIMARY KEY REFERENCES lanes (id),
    "offset" INTEGER NOT NULL REFERENCES entries ("offset"),
    dropped_offset INTEGER NOT NULL,
    dropped_lane_seq INTEGER NOT NULL,
    dropped_hash BLOB NOT NULL,
    dropped_sum INTEGER NOT NULL,
    remains INTEGER NOT NULL
  ) STRICT;
  CREATE TABLE remains (
    "offset" INTEGER PRIMARY KEY,
    lane_id INTEGER NOT NULL REFERENCES lanes (id),
    lane_seq INTEGER NOT NULL,
    at INTEGER NOT NULL,
    version INTEGER NOT NULL,
    kind TEXT NOT NULL,
    meta TEXT NOT NULL,
    content TEXT NOT NULL,
    hash BLOB NOT NULL,
    fingerprint BLOB,
    digest BLOB NOT NULL,
    previous BLOB NOT NULL
  ) STRICT;
`;

/** The tables of a new file. */
export const SCHEMA = LANES + entries(',\n    digest BLOB') + PLACES + DERIVED + DROPPED;

const TABLES: Readonly<Record<number, readonly string[]>> = {
  1: statements(LANES + entries('') + PLACES),
  2: statements(LANES + entries(',\n    digest BLOB') + PLACES + DERIVED + ANCHORS_2),
  3: statements(SCHEMA),
};

/** How the tables of a version become those of the next one. */
const MIGRATIONS: Readonly<Record<number, string>> = {
  1: `ALTER TABLE entries ADD COLUMN digest BLOB; ${DERIVED}${ANCHORS_2}`,
  2: `DROP TABLE anchors; ${DROPPED}`,
};

/** Of a journal that is open, be it in the write-ahead log alone. */
export function schemaVersionOf(database: Database): number {
  return database.pragma('user_version', { simple: true }) as number;
}

/** What is wrong with the tables: a damaged page may leave a table that reads and is another one. */
export function schemaFlaw(database: Database): string | undefined {
  const found = database.prepare<[], string>(`SELECT sql FROM sqlite_schema WHERE type = 'table'`).pluck().all();
  const known = new Set(found.map(bare));
  const missing = TABLES[schemaVersionOf(database)]?.find((table) => !known.has(bare(table)));
  return missing === undefined ? undefined : `there is no ${missing.trim().split(/\s*[(]/)[0] ?? ''} as it should be`;
}

/** Brings the tables of an older version to this one's. Nothing is changed when it throws. */
export function migrate(database: Database): void {
  database
    .transaction(() => {
      for (let version = schemaVersionOf(database); version < SCHEMA_VERSION; version += 1) {
        database.exec(MIGRATIONS[version] ?? '');
        database.pragma(`user_version = ${version + 1}`);
      }
    })
    .immediate();
}

function statements(sql: string): readonly string[] {
  return sql.split(';').filter((statement) => statement.trim() !== '');
}

/** SQLite keeps the text of a statement as it was written, and that of an added column as it likes. */
function bare(sql: string): string {
  return sql
    .replaceAll(/\s*([(),])\s*/g, '$1')
    .replaceAll(/\s+/g, ' ')
    .trim();
}
