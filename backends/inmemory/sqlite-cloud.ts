// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import type { Clock } from '../../runtime/clock.ts';
import { TerminalError } from '../../runtime/errors.ts';
import { type Changes, CursorLostError } from '../backend.ts';
import type { Claim, CloudCounts, InMemoryCloud, JobResult, RunRequest } from './cloud.ts';
import { inTransaction, openDatabase } from './cloud-schema.ts';
import { checkOwner, type GuestJob, type Instance, instanceOf, jobOf, type Rehearsal } from './instance.ts';

/** A token stays taken for this long after its instance is gone. */
const TOMBSTONE_MS = 30 * 24 * 3_600_000;

/** For so long after a retry is due, who gave it back leaves it to others: a few ticks of theirs. */
const LET_OTHERS_TRY_MS = 1_000;

/** Opens the cloud in the file `path`, or one that ends with this process for ':memory:'. */
export function openInMemoryCloud(options: { readonly path: string; readonly clock: Clock }): InMemoryCloud {
  return new SqliteCloud(openDatabase(options.path), options.clock);
}

class SqliteCloud implements InMemoryCloud {
  private readonly db: DatabaseSync;
  private readonly clock: Clock;
  private readonly statements = new Map<string, StatementSync>();
  private readonly uncounted = new Map<string, number>();
  private readonly databaseID: string;

  constructor(db: DatabaseSync, clock: Clock) {
    this.db = db;
    this.clock = clock;
    this.databaseID = String(this.sql("SELECT value FROM meta WHERE key = 'id'").get()?.['value']);
  }

  find(by: { readonly id: string } | { readonly clientToken: string }): Instance | undefined {
    const row =
      'id' in by
        ? this.sql('SELECT * FROM instances WHERE id = ?').get(by.id)
        : this.sql('SELECT * FROM instances WHERE client_token = ?').get(by.clientToken);
    return row === undefined ? undefined : instanceOf(row);
  }

  run(request: RunRequest): Instance {
    return inTransaction(this.db, () => {
      const known = this.find({ clientToken: request.clientToken });
      if (known === undefined) return this.insert(request);
      checkOwner(known, request);
      if (known.requestHash === request.requestHash) return known;
      throw new TerminalError(
        'IdempotencyMismatch',
        `Client token ${request.clientToken} already stands for another request, for ${known.namespace}/${known.name}; ` +
          'a changed request needs a new attempt with a new token',
      );
    });
  }

  private insert(request: RunRequest): Instance {
    const nowMs = this.nowMs();
    this.sql(
      `INSERT INTO instances (id, client_token, request_hash, namespace, name, cluster, control_plane, version,
         failure_domain, capacity, rehearsal, state, message, format, user_data, created_at, boot_at, updated_at, changed)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 'pending', '', ?, ?, ?, ?, ?, ?)`,
    ).run(
      `i-${randomBytes(8).toString('hex')}`,
      request.clientToken,
      request.requestHash,
      request.namespace,
      request.name,
      request.clusterName,
      request.controlPlane ? 1 : 0,
      request.version ?? null,
      request.failureDomain ?? null,
      JSON.stringify(request.capacity),
      JSON.stringify(request.rehearsal),
      request.bootstrapData.format,
      request.bootstrapData.value,
      nowMs,
      bootTime(nowMs, request.rehearsal),
      nowMs,
      this.nextChange(),
    );
    return this.find({ clientToken: request.clientToken })!;
  }

  terminate(id: string): void {
    inTransaction(this.db, () => {
      // A guest that never read its bootstrap data has left no traces on the workload cluster.
      this.sql(
        `UPDATE instances SET state = 'terminated', message = '', user_data = NULL, dies_at = NULL,
           guest_work = CASE WHEN node_name IS NULL THEN NULL ELSE 'leave' END, attempts = 0, retry_at = :now,
           updated_at = :now, changed = :change WHERE id = :id AND state <> 'terminated'`,
      ).run({ id, now: this.nowMs(), change: this.nextChange() });
    });
  }

  rehearse(instance: Instance, rehearsal: Rehearsal): void {
    const wanted = JSON.stringify(rehearsal);
    if (wanted === JSON.stringify(instance.rehearsal)) return;
    inTransaction(this.db, () => {
      const { diesAfterMs } = rehearsal;
      this.sql(
        `UPDATE instances SET rehearsal = :wanted, dies_at = started_at + :dies, changed = :change,
           boot_at = CASE WHEN :never THEN NULL ELSE created_at + :delay END WHERE id = :id`,
      ).run({
        id: instance.id,
        wanted,
        dies: diesAfterMs ?? null,
        delay: rehearsal.bootDelayMs,
        never: rehearsal.neverBoots === true ? 1 : 0,
        change: this.nextChange(),
      });
    });
  }

  throttle(caller: string, limit: number): boolean {
    if (limit <= 0) return false;
    const row = this.sql(
      `INSERT INTO throttled VALUES (:caller, 1) ON CONFLICT (caller) DO UPDATE SET calls = calls + 1
         WHERE calls < :limit RETURNING calls`,
    ).get({ caller, limit });
    return row !== undefined;
  }

  changes(cursor: string): Changes {
    const latest = Number(this.sql("SELECT value FROM meta WHERE key = 'changes'").get()?.['value']);
    if (cursor === '') return { cursor: this.cursorAt(latest), machines: [] };
    const [databaseID, since] = cursor.split(':');
    if (databaseID !== this.databaseID)
      throw new CursorLostError('The instance database is another one; start over');
    const rows = this.sql('SELECT namespace, name FROM instances WHERE changed > ? ORDER BY changed').all(
      Number(since),
    );
    return {
      cursor: this.cursorAt(latest),
      machines: rows.map((row) => ({ namespace: String(row['namespace']), name: String(row['name']) })),
    };
  }

  advance(): number {
    const now = this.nowMs();
    const due = this.sql(
      `SELECT EXISTS (SELECT 1 FROM instances WHERE state = 'pending' AND boot_at <= :now)
         OR EXISTS (SELECT 1 FROM instances WHERE dies_at <= :now AND state IN ('booting', 'running'))
         OR EXISTS (SELECT 1 FROM instances WHERE state = 'terminated' AND guest_work IS NULL AND updated_at <= :old) AS due`,
    ).get({ now, old: now - TOMBSTONE_MS });
    if (due?.['due'] !== 1) return 0;
    return inTransaction(this.db, () => this.passTime(now));
  }

  private passTime(now: number): number {
    const change = this.nextChange();
    const failed = this.sql(
      `UPDATE instances SET state = 'failed', message = rehearsal ->> '$.provisioningError', user_data = NULL,
         updated_at = :now, changed = :change
       WHERE state = 'pending' AND boot_at <= :now AND rehearsal ->> '$.provisioningError' IS NOT NULL`,
    ).run({ now, change });
    const booted = this.sql(
      `UPDATE instances SET state = 'booting', message = '', started_at = :now,
         dies_at = :now + (rehearsal ->> '$.diesAfterMs'), guest_work = 'bringUp', attempts = 0, retry_at = :now,
         updated_at = :now, changed = :change WHERE state = 'pending' AND boot_at <= :now`,
    ).run({ now, change });
    const died = this.sql(
      `UPDATE instances SET state = 'stopped', message = 'The instance died, as failures.diesAfterSeconds asks',
         user_data = NULL, guest_work = CASE WHEN node_name IS NULL THEN NULL ELSE 'lost' END, attempts = 0,
         retry_at = :now, updated_at = :now, changed = :change
       WHERE dies_at <= :now AND state IN ('booting', 'running')`,
    ).run({ now, change });
    this.forgetTombstones(now - TOMBSTONE_MS);
    return Number(failed.changes) + Number(booted.changes) + Number(died.changes);
  }

  private forgetTombstones(untilMs: number): void {
    const { changes } = this.sql(
      "DELETE FROM instances WHERE state = 'terminated' AND guest_work IS NULL AND updated_at <= ?",
    ).run(untilMs);
    // With them go the counts of callers without an instance. Those that wait for theirs at this moment are throttled anew.
    if (changes !== 0)
      this.sql('DELETE FROM throttled WHERE caller NOT IN (SELECT client_token FROM instances)').run();
  }

  claim(claim: Claim): GuestJob[] {
    const now = this.nowMs();
    if (claim.limit <= 0) return [];
    const due = this.sql(
      'SELECT 1 FROM instances WHERE guest_work IS NOT NULL AND retry_at <= ? AND lease_until <= ? LIMIT 1',
    ).get(now, now);
    if (due === undefined) return [];
    // Control planes first: the others wait for them.
    const rows = this.sql(
      `UPDATE instances SET lease_owner = :owner, lease_until = :until, attempts = attempts + 1 WHERE ordinal IN (
         SELECT ordinal FROM (
           SELECT ordinal, control_plane, retry_at, lease_until, ROW_NUMBER() OVER (
             PARTITION BY namespace, cluster ORDER BY lease_until > :now DESC, control_plane DESC, retry_at, ordinal) AS place
           FROM instances WHERE guest_work IS NOT NULL AND (lease_until > :now
             OR (retry_at <= :now AND (lease_owner IS NOT :owner OR retry_at <= :longDue))))
         WHERE place <= :perCluster AND lease_until <= :now ORDER BY control_plane DESC, retry_at, ordinal LIMIT :limit)
       RETURNING *`,
    ).all({
      owner: claim.owner,
      until: now + claim.leaseMs,
      now,
      longDue: now - LET_OTHERS_TRY_MS,
      perCluster: claim.perCluster,
      limit: claim.limit,
    });
    return rows.map(jobOf);
  }

  prolong(owner: string, instanceIDs: readonly string[], leaseMs: number): ReadonlySet<string> {
    const rows = this.sql(
      `UPDATE instances SET lease_until = :until
       WHERE id IN (SELECT value FROM json_each(:ids)) AND lease_owner = :owner RETURNING id`,
    ).all({ owner, ids: JSON.stringify(instanceIDs), until: this.nowMs() + leaseMs });
    return new Set(rows.map((row) => String(row['id'])));
  }

  recordNode(job: GuestJob, owner: string, nodeName: string): boolean {
    const { changes } = this.sql(
      'UPDATE instances SET node_name = ? WHERE id = ? AND lease_owner = ? AND guest_work = ?',
    ).run(nodeName, job.instance.id, owner, job.work);
    return changes === 1;
  }

  settle(job: GuestJob, owner: string, result: JobResult): void {
    inTransaction(this.db, () => {
      const id = job.instance.id;
      // An owner without a lease is who gave the work back for others.
      const left = result.kind === 'retry' && result.letOthersTry === true ? owner : null;
      const { changes } = this.sql(
        'UPDATE instances SET lease_owner = :left, lease_until = 0 WHERE id = :id AND lease_owner = :owner',
      ).run({ id, owner, left });
      if (changes === 1) this.applyResult(id, job.work, result);
    });
  }

  private applyResult(id: string, work: string, result: JobResult): void {
    const now = this.nowMs();
    switch (result.kind) {
      case 'done':
        this.sql(
          `UPDATE instances SET guest_work = NULL, user_data = NULL, updated_at = :now, changed = :change,
             message = iif(state = 'booting', '', message), state = iif(state = 'booting', 'running', state)
           WHERE id = :id AND guest_work = :work`,
        ).run({ id, work, now, change: this.nextChange() });
        return;
      case 'failed':
        this.sql(
          `UPDATE instances SET guest_work = NULL, user_data = NULL, updated_at = :now, changed = :change,
             message = iif(state = 'booting', :message, message), state = iif(state = 'booting', 'failed', state)
           WHERE id = :id AND guest_work = :work`,
        ).run({ id, work, now, change: this.nextChange(), message: result.message });
        return;
      case 'retry':
        this.sql('UPDATE instances SET retry_at = :at WHERE id = :id AND guest_work = :work').run({
          id,
          work,
          at: now + result.afterMs,
        });
        this.sql(
          `UPDATE instances SET message = :message, changed = :change
           WHERE id = :id AND state = 'booting' AND message <> :message`,
        ).run({ id, message: result.message, change: this.nextChange() });
    }
  }

  count(verb: string): void {
    this.uncounted.set(verb, (this.uncounted.get(verb) ?? 0) + 1);
  }

  flush(): void {
    if (this.uncounted.size === 0) return;
    inTransaction(this.db, () => {
      for (const [verb, calls] of this.uncounted) {
        this.sql(
          'INSERT INTO calls VALUES (?, ?) ON CONFLICT (verb) DO UPDATE SET calls = calls + excluded.calls',
        ).run(verb, calls);
      }
    });
    this.uncounted.clear();
  }

  counts(): CloudCounts {
    this.flush();
    const made = this.sql("SELECT seq FROM sqlite_sequence WHERE name = 'instances'").get()?.['seq'] ?? 0;
    const calls = this.sql('SELECT verb, calls FROM calls').all();
    return {
      instancesMade: Number(made),
      calls: Object.fromEntries(calls.map((row) => [String(row['verb']), Number(row['calls'])])),
    };
  }

  close(): void {
    if (!this.db.isOpen) return;
    try {
      this.flush();
    } finally {
      this.statements.clear();
      this.db.close();
    }
  }

  /** Inside a transaction: numbers are given in the order of commits. */
  private nextChange(): SQLInputValue {
    const row = this.sql("UPDATE meta SET value = value + 1 WHERE key = 'changes' RETURNING value").get();
    return Number(row?.['value']);
  }

  private cursorAt(change: number): string {
    return `${this.databaseID}:${change}`;
  }

  private nowMs(): number {
    return this.clock.now().getTime();
  }

  private sql(text: string): StatementSync {
    let statement = this.statements.get(text);
    if (statement === undefined) {
      statement = this.db.prepare(text);
      this.statements.set(text, statement);
    }
    return statement;
  }
}

function bootTime(createdMs: number, rehearsal: Rehearsal): number | null {
  return rehearsal.neverBoots === true ? null : createdMs + rehearsal.bootDelayMs;
}
