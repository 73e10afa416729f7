// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { TerminalError, TransientError } from '../../runtime/errors.ts';

/** Grows with every change of the tables; a file of a newer manager is refused, never rewritten. */
const SCHEMA_VERSION = 1;

/**
 * How long a call waits for another process that is writing, with the event loop standing still, probes and lease renewals
 * included. Transactions here take well under a millisecond.
 */
const BUSY_TIMEOUT_MS = 500;

/** SQLite's result code for "somebody else holds the lock", without what extended codes add. */
const SQLITE_BUSY = 5;

const SCHEMA = `
CREATE TABLE instances (
  ordinal        INTEGER PRIMARY KEY AUTOINCREMENT,
  id             TEXT NOT NULL UNIQUE,
  client_token   TEXT NOT NULL UNIQUE,
  request_hash   TEXT NOT NULL,
  namespace      TEXT NOT NULL,
  name           TEXT NOT NULL,
  cluster        TEXT NOT NULL,
  control_plane  INTEGER NOT NULL,
  version        TEXT,
  failure_domain TEXT,
  capacity       TEXT NOT NULL,
  rehearsal      TEXT NOT NULL,
  state          TEXT NOT NULL,
  message        TEXT NOT NULL,
  node_name      TEXT,
  format         TEXT,
  user_data      BLOB,
  created_at     INTEGER NOT NULL,
  boot_at        INTEGER,
  started_at     INTEGER,
  dies_at        INTEGER,
  updated_at     INTEGER NOT NULL,
  changed        INTEGER NOT NULL,
  guest_work     TEXT,
  retry_at       INTEGER NOT NULL DEFAULT 0,
  attempts       INTEGER NOT NULL DEFAULT 0,
  lease_owner    TEXT,
  lease_until    INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX instances_boot ON instances (boot_at) WHERE state = 'pending';
CREATE INDEX instances_death ON instances (dies_at) WHERE dies_at IS NOT NULL;
CREATE INDEX instances_guest ON instances (retry_at) WHERE guest_work IS NOT NULL;
CREATE INDEX instances_changed ON instances (changed);
CREATE INDEX instances_tombstones ON instances (updated_at) WHERE state = 'terminated';
CREATE TABLE throttled (caller TEXT PRIMARY KEY, calls INTEGER NOT NULL) STRICT;
CREATE TABLE calls (verb TEXT PRIMARY KEY, calls INTEGER NOT NULL) STRICT;
CREATE TABLE meta (key TEXT PRIMARY KEY, value ANY NOT NULL) STRICT;
INSERT INTO meta VALUES ('changes', 0);
`;

/**
 * Opens the database at `path`, or one in memory for ':memory:', and brings it to the present schema. Throws
 * TerminalError(DatabaseUnusable) for a file that is not ours or of a newer version, TransientError while somebody else
 * writes to it. The file is readable for its owner only: it holds bootstrap data of machines that have not booted yet.
 */
export function openDatabase(path: string): DatabaseSync {
  try {
    if (path !== ':memory:') {
      mkdirSync(dirname(path), { recursive: true });
      closeSync(openSync(path, 'a', 0o600));
    }
    return prepared(new DatabaseSync(path, { timeout: BUSY_TIMEOUT_MS }), path);
  } catch (error) {
    if (error instanceof TerminalError) throw error;
    if (isBusy(error)) {
      const message = `Another process is writing to the database ${path} of the in-memory backend; try again when it has ended`;
      throw new TransientError(message, { cause: error });
    }
    const message = `The in-memory backend cannot use the database ${path}; move the file away or give another path`;
    throw new TerminalError('DatabaseUnusable', message, { cause: error });
  }
}

function prepared(db: DatabaseSync, path: string): DatabaseSync {
  try {
    // A killed process loses nothing with NORMAL, and a power cut at most the newest rows, which the same tokens make again.
    db.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON');
    migrate(db, path);
    return db;
  } catch (error) {
    db.close();
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  const code = error instanceof Error && 'errcode' in error ? Number(error.errcode) : 0;
  return (code & 0xff) === SQLITE_BUSY;
}

/** Two processes may open the same new file at once: whoever gets the write lock makes the tables. */
function migrate(db: DatabaseSync, path: string): void {
  inTransaction(db, () => {
    const version = Number(db.prepare('PRAGMA user_version').get()?.['user_version'] ?? 0);
    if (version === SCHEMA_VERSION) return;
    if (version > SCHEMA_VERSION) {
      const message = `The database ${path} was written by a newer version of this manager; use that version or another path`;
      throw new TerminalError('DatabaseUnusable', message);
    }
    db.exec(SCHEMA);
    db.prepare("INSERT INTO meta VALUES ('id', ?)").run(randomUUID());
    db.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  });
}

/** Runs `work` with the write lock held from the beginning, so that what it reads is still true when it writes. */
export function inTransaction<T>(db: DatabaseSync, work: () => T): T {
  db.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    db.exec('COMMIT');
    return result;
  } catch (error) {
    if (db.isTransaction) db.exec('ROLLBACK');
    throw error;
  }
}
