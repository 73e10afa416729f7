// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished } from 'vitest';
import {
  byVerb,
  failed,
  followAuditLog,
  ofWork,
  parseAuditLog,
  secretWrites,
  tokensMade,
  within,
} from './audit-log.ts';

interface Line {
  verb: string;
  resource?: string;
  subresource?: string;
  namespace?: string;
  name?: string;
  code?: number;
  stage?: string;
  second?: number;
}

function line({ verb, code = 200, stage = 'ResponseComplete', second = 0, ...object }: Line): string {
  return JSON.stringify({
    kind: 'Event',
    stage,
    verb,
    requestURI: '/version?timeout=10s',
    requestReceivedTimestamp: `2026-01-01T00:00:0${second}.500000Z`,
    user: { username: 'system:serviceaccount:ns:manager' },
    ...(object.resource === undefined ? {} : { objectRef: object }),
    responseStatus: { code },
  });
}

const log = (...lines: Line[]) => parseAuditLog(lines.map((one) => `${line(one)}\n`).join(''));

describe('audit log', () => {
  it('tells who asked for what', () => {
    const secret = { resource: 'secrets', namespace: 'kube-system', name: 'bootstrap-token-abcdef' };
    expect(log({ verb: 'create', ...secret, code: 201 })).toEqual([
      {
        atMs: Date.parse('2026-01-01T00:00:00.500Z'),
        user: 'system:serviceaccount:ns:manager',
        verb: 'create',
        resource: 'secrets',
        namespace: 'kube-system',
        name: 'bootstrap-token-abcdef',
        code: 201,
      },
    ]);
  });

  it('has one entry for each request, also for a watch that goes on or has ended', () => {
    const requests = log(
      { verb: 'watch', resource: 'clusters', stage: 'ResponseStarted' },
      { verb: 'watch', resource: 'clusters', stage: 'ResponseComplete' },
      { verb: 'watch', resource: 'machines', stage: 'ResponseStarted' },
      { verb: 'get', resource: 'secrets', stage: 'RequestReceived' },
      { verb: 'get', resource: 'secrets', stage: 'ResponseComplete' },
    );
    expect(byVerb(requests)).toEqual(
      new Map([
        ['watch clusters', 1],
        ['watch machines', 1],
        ['get secrets', 1],
      ]),
    );
  });

  it('leaves out a line that is half written', () => {
    const text = `${line({ verb: 'get', resource: 'secrets' })}\n${line({ verb: 'get' }).slice(0, 30)}`;
    expect(parseAuditLog(text)).toHaveLength(1);
    expect(parseAuditLog('')).toEqual([]);
  });

  it('is followed while it grows, also when it is read in the middle of a line', () => {
    const dir = mkdtempSync(join(tmpdir(), 'ts-provider-unit-'));
    onTestFinished(() => rmSync(dir, { recursive: true }));
    const file = join(dir, 'audit.log');
    const [first, second] = ['ä', 'b'].map((name) => line({ verb: 'get', resource: 'secrets', name }));
    writeFileSync(file, `${first}\n${second?.slice(0, 40)}`);
    const read = followAuditLog(file);
    const names = () => read().map(({ name }) => name);
    expect(names()).toEqual(['ä']);
    appendFileSync(file, `${second?.slice(40)}\n`);
    expect(names()).toEqual(['ä', 'b']);
    expect(names()).toEqual(['ä', 'b']);
  });

  it('names a subresource with its resource, and a path without its query', () => {
    const requests = log(
      { verb: 'patch', resource: 'kubeadmconfigs', subresource: 'status' },
      { verb: 'get' },
    );
    expect([...byVerb(requests).keys()]).toEqual(['patch kubeadmconfigs/status', 'get /version']);
  });

  it('leaves watches and leases out of the work', () => {
    const requests = log(
      { verb: 'watch', resource: 'clusters', stage: 'ResponseStarted' },
      { verb: 'update', resource: 'leases' },
      { verb: 'create', resource: 'secrets' },
    );
    expect([...byVerb(ofWork(requests)).keys()]).toEqual(['create secrets']);
  });

  it('cuts out a stretch of time, its end excluded', () => {
    const requests = log(...[1, 2, 3].map((second) => ({ verb: 'get', resource: `r${second}`, second })));
    const atMs = (second: number) => Date.parse(`2026-01-01T00:00:0${second}.500Z`);
    const cut = within(requests, { fromMs: atMs(1), toMs: atMs(3) });
    expect(cut.map(({ resource }) => resource)).toEqual(['r1', 'r2']);
  });

  it('counts the tokens that were made, not those that were refused or only read', () => {
    const token = { resource: 'secrets', namespace: 'kube-system', name: 'bootstrap-token-abcdef' };
    const requests = log(
      { verb: 'create', ...token, code: 201 },
      { verb: 'create', ...token, code: 409 },
      { verb: 'get', ...token },
      { verb: 'update', ...token },
      { verb: 'create', ...token, namespace: 'default', code: 201 },
      { verb: 'create', ...token, name: 'other', code: 201 },
    );
    expect(tokensMade(requests)).toBe(1);
    expect(failed(requests).map(({ code }) => code)).toEqual([409]);
  });

  it.each([
    ['create', 201, 1],
    ['update', 200, 1],
    ['patch', 200, 1],
    ['create', 409, 0],
    ['get', 200, 0],
    ['delete', 200, 0],
  ])('%s answered with %d is %d write of a data Secret', (verb, code, writes) => {
    const requests = log(
      { verb, resource: 'secrets', name: 'w-1', code },
      { verb, resource: 'secrets', name: 'c1-ca', code },
      { verb, resource: 'kubeadmconfigs', name: 'w-1', code },
    );
    expect(secretWrites(requests, new Set(['w-1', 'w-2']))).toBe(writes);
  });
});
