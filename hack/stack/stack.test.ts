// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { cacheDir } from './build.ts';
import { hostSoftwareDir } from './host-software.ts';
import { withLock } from './lock.ts';
import { freePort } from './ports.ts';
import { runProgram, startServer, waitUntil } from './process.ts';
import {
  AWS_VERSIONS,
  BINARIES,
  HOST_BINARIES,
  HOST_VERSIONS,
  PEER_AWS_BINARY,
  PREVIOUS_BINARIES,
  REGISTRY_BINARY,
  SITE_VERSIONS,
  VERSIONS,
} from './versions.ts';

let dir: string;

beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'ts-provider-unit-'));
});

afterEach(() => rmSync(dir, { recursive: true, force: true }));

describe('versions', () => {
  it.each([
    ['kubernetes', 'k8s.io/kubernetes', VERSIONS.kubernetes],
    ['kubernetes', 'go.etcd.io/etcd/server/v3', VERSIONS.etcd],
    ['cluster-api', 'sigs.k8s.io/cluster-api', VERSIONS.clusterAPI],
    ['cert-manager', 'github.com/cert-manager/cert-manager', VERSIONS.certManager],
    ['containerd', 'github.com/containerd/containerd/v2', HOST_VERSIONS.containerd],
    ['coredns', 'github.com/coredns/coredns', HOST_VERSIONS.coredns],
    ['kubernetes-previous', 'k8s.io/kubernetes', SITE_VERSIONS.previousKubernetes],
    ['registry', 'github.com/distribution/distribution/v3', SITE_VERSIONS.registry],
    [
      'cluster-api-provider-aws',
      'sigs.k8s.io/cluster-api-provider-aws/v2',
      AWS_VERSIONS.clusterAPIProviderAWS,
    ],
  ])('%s/go.mod pins %s %s', (folder, module, version) => {
    const pins = readFileSync(join(import.meta.dirname, folder, 'go.mod'), 'utf8');
    expect(pins).toMatch(new RegExp(`${module.replaceAll('.', '\\.')} ${version.replaceAll('.', '\\.')}\\b`));
  });

  it('every binary says its version, but etcd and CoreDNS, which know their own', () => {
    const all = [...BINARIES, ...HOST_BINARIES, ...PREVIOUS_BINARIES, REGISTRY_BINARY, PEER_AWS_BINARY];
    const silent = all.filter(({ stamps, version }) => !Object.values(stamps).includes(version));
    expect(silent.map(({ name }) => name)).toEqual(['etcd', 'coredns']);
  });

  it('the software of hosts lives in a folder of its own: the stack is not built again for it', () => {
    const folder = hostSoftwareDir({ XDG_CACHE_HOME: '/cache' });
    expect(folder).not.toBe(cacheDir({ XDG_CACHE_HOME: '/cache' }));
    for (const version of [VERSIONS.kubernetes, ...Object.values(HOST_VERSIONS)])
      expect(folder).toContain(version);
  });

  it('another version lives in another folder of the cache', () => {
    const folder = cacheDir({ XDG_CACHE_HOME: '/cache' });
    expect(folder.startsWith('/cache/ts-provider/stack/')).toBe(true);
    for (const version of Object.values(VERSIONS)) expect(folder).toContain(version);
  });
});

describe('withLock', () => {
  it('lets one in at a time', async () => {
    const seen: string[] = [];
    const work = (name: string) => async () => {
      seen.push(`${name} in`);
      await new Promise((resolve) => setImmediate(resolve));
      seen.push(`${name} out`);
    };
    const lock = join(dir, 'lock');
    await Promise.all(['a', 'b'].map((name) => withLock(lock, work(name), () => undefined)));
    expect(seen).toEqual(['a in', 'a out', 'b in', 'b out']);
  });

  it('takes over from a process that died', async () => {
    const dead = startServer({ name: 'true', binary: '/bin/true', args: [], logFile: join(dir, 'log') });
    await dead.ended;
    const lock = join(dir, 'lock');
    writeFileSync(lock, String(dead.pid));
    expect(
      await withLock(
        lock,
        async () => 'done',
        () => undefined,
      ),
    ).toBe('done');
  });

  it('is released when the work fails', async () => {
    const lock = join(dir, 'lock');
    await expect(
      withLock(
        lock,
        () => Promise.reject(new Error('no')),
        () => undefined,
      ),
    ).rejects.toThrow('no');
    expect(
      await withLock(
        lock,
        async () => 'done',
        () => undefined,
      ),
    ).toBe('done');
  });
});

describe('servers', () => {
  it('stop ends one that runs, twice is harmless', async () => {
    const server = startServer({
      name: 'sleep',
      binary: '/bin/sleep',
      args: ['1000'],
      logFile: join(dir, 'log'),
    });
    expect(server.running()).toBe(true);
    await server.stop();
    await server.stop();
    expect(server.running()).toBe(false);
  });

  it('waiting ends with what a server said when it ended by itself', async () => {
    const args = ['-c', 'echo the port is taken >&2; exit 3'];
    const server = startServer({ name: 'failing', binary: '/bin/sh', args, logFile: join(dir, 'log') });
    const waiting = waitUntil(() => Promise.resolve(false), {
      what: 'it',
      timeoutMs: 10_000,
      pollMs: 5,
      server,
    });
    await expect(waiting).rejects.toThrow(/failing ended\nthe port is taken/);
  });

  it('waiting tells the last error when the time runs out', async () => {
    const ask = () => Promise.reject(new Error('refused'));
    await expect(waitUntil(ask, { what: 'a miracle', timeoutMs: 20, pollMs: 5 })).rejects.toThrow(
      /in vain for a miracle\nrefused/,
    );
  });

  it('a program that fails is told with its own words', async () => {
    await expect(runProgram('/bin/sh', ['-c', 'echo bad flag >&2; exit 2'])).rejects.toThrow(
      /failed: bad flag/,
    );
  });

  it('ports are given once', async () => {
    const ports = await Promise.all(Array.from({ length: 20 }, freePort));
    expect(new Set(ports).size).toBe(20);
  });
});
