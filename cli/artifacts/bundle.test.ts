// SPDX-License-Identifier: Apache-2.0
// What needs no registry; the rest is in test/e2e/artifacts.test.ts.
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { HostPreparation } from '../../api/preparation.ts';
import { parseManifest } from '../../preparation/artifacts/manifest.ts';
import { imagesFor } from '../../preparation/artifacts/versions.ts';
import { artifactsCommand } from './commands.ts';
import { digestOfBytes, writeImageArchive } from './oci-archive.ts';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'bundle-'));
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

let said: string[];

function run(...args: string[]): Promise<string> {
  said = [];
  return artifactsCommand(args, { say: (line) => said.push(line), ended: new AbortController().signal });
}

function bundle(...args: string[]): Promise<string> {
  return run('bundle', '--kubernetes-version', 'v1.36.3', '-o', join(folder, 'out'), ...args);
}

function write(name: string, content: string): string {
  const path = join(folder, name);
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, content);
  return path;
}

function manifest() {
  return parseManifest(readFileSync(join(folder, 'out/manifest'), 'utf8'));
}

/** Files as dl.k8s.io has them, in a folder. */
function upstreamFolder(): string {
  for (const name of ['kubelet', 'kubeadm', 'kubectl']) {
    const path = `dl/release/v1.36.3/bin/linux/amd64/${name}`;
    write(path, `program ${name}`);
    write(`${path}.sha256`, createHash('sha256').update(`program ${name}`).digest('hex'));
  }
  return join(folder, 'dl');
}

const NOTHING_ELSE = ['containerd', 'runc', 'cni-plugins', 'crictl'].flatMap((name) => ['--without', name]);

/** An archive of a very small image. */
async function archive(name: string): Promise<void> {
  const data = Buffer.from(`layer of ${name}`);
  const layer = write(`layers/${name}`, data.toString());
  const blob = { mediaType: 'application/octet-stream', digest: digestOfBytes(data), size: data.length };
  await writeImageArchive(write(`archives/${name.replaceAll(/[/:]/g, '_')}.tar`, ''), {
    name,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    manifest: Buffer.from(JSON.stringify({ schemaVersion: 2, config: blob, layers: [blob] })),
    fileOf: () => layer,
  });
}

describe('artifacts bundle', () => {
  it('takes files from a folder that is laid out as the publisher has them', async () => {
    await bundle('--only', 'files', '--mirror', `dl.k8s.io=file://${upstreamFolder()}`, ...NOTHING_ELSE);
    expect(manifest().map(({ name, version, size }) => [name, version, size])).toEqual([
      ['kubeadm', 'v1.36.3', 15],
      ['kubectl', 'v1.36.3', 15],
      ['kubelet', 'v1.36.3', 15],
    ]);
  });

  it('says which file is not there', async () => {
    const dir = upstreamFolder();
    rmSync(join(dir, 'release/v1.36.3/bin/linux/amd64/kubeadm'));
    await expect(
      bundle('--only', 'files', '--mirror', `dl.k8s.io=file://${dir}`, ...NOTHING_ELSE),
    ).rejects.toThrow(/amd64\/kubeadm: the answer is 404/);
    expect(existsSync(join(folder, 'out/manifest'))).toBe(false);
    await expect(
      run('push', '--bundle', join(folder, 'out'), '--registry', 'http://localhost'),
    ).rejects.toThrow('the bundle is not finished');
  });

  it('takes archives of images, and those that Kubernetes does not know for any version of it', async () => {
    for (const name of [...imagesFor('v1.36.3'), 'docker.io/library/plugin:1']) await archive(name);
    const args = ['--only', 'images', '--image-archives', join(folder, 'archives')];
    await bundle(...args);
    const versions = Object.fromEntries(manifest().map(({ name, version }) => [name, version]));
    expect(versions).toEqual({
      ...Object.fromEntries(imagesFor('v1.36.3').map((name) => [name, 'v1.36.3'])),
      'docker.io/library/plugin:1': 'any',
    });
    await bundle(...args);
    expect(said.every((line) => line.startsWith('have '))).toBe(true);
  });

  it('has exactly the packages that the folder has, for each platform', async () => {
    write('debs/socat_1_amd64.deb', 'one');
    write('debs/conntrack_1%3a2_amd64.deb', 'two');
    write('rpms/socat-1-1.x86_64.rpm', 'three');
    const packages = (dir: string, platform: string) =>
      bundle('--only', 'packages', '--packages', join(folder, dir), '--platform', platform);
    await packages('debs', 'debian-12-amd64');
    await packages('rpms', 'rocky-9-amd64');
    rmSync(join(folder, 'debs/socat_1_amd64.deb'));
    write('debs/socat_2_amd64.deb', 'newer');
    write('debs/conntrack_1%3a2_amd64.deb', 'rebuilt');
    await packages('debs', 'debian-12-amd64');
    expect(manifest().map(({ name, version, platform, size }) => [name, version, platform, size])).toEqual([
      ['conntrack', '1:2', 'debian-12-amd64', 7],
      ['socat', '2', 'debian-12-amd64', 5],
      ['socat', '1-1', 'rocky-9-amd64', 5],
    ]);
    expect(existsSync(join(folder, 'out/packages/debian-12-amd64/socat_1_amd64.deb'))).toBe(false);
  });

  it('lists nothing that is not there any more', async () => {
    write('debs/socat_1_amd64.deb', 'one');
    const args = ['--only', 'packages', '--packages', join(folder, 'debs'), '--platform', 'debian-12-amd64'];
    await bundle(...args);
    rmSync(join(folder, 'out/packages'), { recursive: true });
    await bundle('--only', 'packages');
    expect(manifest()).toEqual([]);
    expect(said).toEqual([expect.stringMatching(/^gone .*socat_1_amd64\.deb/)]);
  });

  it.each([
    [['--packages', 'x'], '--packages DIR and --platform NAME belong together'],
    [['--packages', 'x', '--platform', 'debian'], 'write it like debian-12-amd64'],
    [['--only', 'binaries'], 'it is one of files, images, packages'],
    [['--images', 'busybox'], 'write the whole name'],
    [['--login', 'host'], 'write it like --login'],
    [['--ca', '/nowhere'], '/nowhere cannot be read'],
    [['--kubernetes-version', 'v1.99.1'], 'nothing is known of Kubernetes 1.99'],
  ])('%j is refused before anything is fetched', async (args, message) => {
    await expect(bundle(...args)).rejects.toThrow(message);
    expect(existsSync(join(folder, 'out'))).toBe(false);
  });

  it('wants a folder', async () => {
    await expect(run('bundle', '--kubernetes-version', 'v1.36.3')).rejects.toThrow('with -o DIR');
  });
});

describe('artifacts push', () => {
  it('refuses images that would be one in the registry', async () => {
    for (const name of [...imagesFor('v1.36.3'), 'quay.io/pause:3.10.2']) await archive(name);
    await bundle('--only', 'images', '--image-archives', join(folder, 'archives'));
    await expect(
      run('push', '--bundle', join(folder, 'out'), '--registry', 'http://127.0.0.1:1'),
    ).rejects.toThrow('quay.io/pause:3.10.2 and registry.k8s.io/pause:3.10.2 would both be pause:3.10.2');
  });
});

describe('artifacts serve --print-preparation', () => {
  it('prints what a TSMachineTemplate needs', async () => {
    await bundle('--only', 'files', '--mirror', `dl.k8s.io=file://${upstreamFolder()}`, ...NOTHING_ELSE);
    const text = await run(
      ...['serve', '--print-preparation', '--bundle', join(folder, 'out')],
      ...['--url', 'https://10.0.0.5/', '--ca', write('ca.crt', 'CERTIFICATE\n')],
    );
    const { spec } = parse(text) as { spec: { host: { preparation: HostPreparation } } };
    const manifestSHA256 = createHash('sha256')
      .update(readFileSync(join(folder, 'out/manifest')))
      .digest('hex');
    expect(spec.host.preparation).toEqual({
      source: { artifacts: { baseURL: 'https://10.0.0.5', caBundle: 'CERTIFICATE\n', manifestSHA256 } },
    });
  });

  it('with the registry, for every registry that images of the bundle are named after', async () => {
    for (const name of [...imagesFor('v1.36.3'), 'docker.io/library/plugin:1']) await archive(name);
    await bundle('--only', 'images', '--image-archives', join(folder, 'archives'));
    const registry = ['--registry', 'https://10.0.0.5:5000'];
    const text = await run('serve', '--print-preparation', '--bundle', join(folder, 'out'), ...registry);
    const { spec } = parse(text) as { spec: { host: { preparation: HostPreparation } } };
    expect(text).not.toMatch(/[&*]a1/);
    const mirrors = [{ endpoint: 'https://10.0.0.5:5000' }];
    expect(spec.host.preparation.registries).toEqual([
      { name: 'docker.io', mirrors },
      { name: 'registry.k8s.io', mirrors },
    ]);
    expect(spec.host.preparation.source?.artifacts?.baseURL).toBe('http://127.0.0.1:8080');
  });

  it('with a prefix as containerd wants it', async () => {
    for (const name of imagesFor('v1.36.3')) await archive(name);
    await bundle('--only', 'images', '--image-archives', join(folder, 'archives'));
    const registry = ['--registry', 'https://10.0.0.5:5000/mirror/k8s'];
    const text = await run('serve', '--print-preparation', '--bundle', join(folder, 'out'), ...registry);
    const { spec } = parse(text) as { spec: { host: { preparation: HostPreparation } } };
    const mirrors = [{ endpoint: 'https://10.0.0.5:5000/v2/mirror/k8s', overridePath: true }];
    expect(spec.host.preparation.registries).toEqual([{ name: 'registry.k8s.io', mirrors }]);
  });

  it('says that there is no bundle', async () => {
    await expect(run('serve', '--bundle', folder)).rejects.toThrow('no bundle is there');
  });
});

it('names its commands', async () => {
  await expect(run('make')).rejects.toThrow('there are: list, bundle, push, serve');
  expect(await run('--help')).toMatch(/list[^]*bundle[^]*push[^]*serve/);
});
