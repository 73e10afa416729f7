// SPDX-License-Identifier: Apache-2.0
import { expect, it } from 'vitest';
import { listCommand, type Needs } from './list.ts';

function list(...args: string[]): Needs {
  return JSON.parse(listCommand(['--kubernetes-version', 'v1.36.3', '--json', ...args])) as Needs;
}

it('names every file, image and host with its port', () => {
  const { files, images, endpoints } = list();
  expect(files.map(({ name, version }) => `${name} ${version}`)).toEqual([
    ...['kubelet v1.36.3', 'kubeadm v1.36.3', 'kubectl v1.36.3'],
    ...['containerd 2.3.7', 'runc 1.5.2', 'cni-plugins 1.9.1', 'crictl 1.36.0'],
  ]);
  expect(images).toHaveLength(7);
  const hosts = endpoints.map(({ endpoint }) => endpoint);
  for (const { url } of files) expect(hosts).toContain(`${new URL(url).host}:443`);
  for (const image of images) expect(hosts).toContain(`${image.split('/')[0]}:443`);
});

it('has the same in text, one a line', () => {
  const { files, images, endpoints } = list();
  const lines = listCommand(['--kubernetes-version', '1.36.3'])
    .split('\n')
    .map((line) => line.split('  #')[0]);
  const words = [...files.map(({ url }) => url), ...images, ...endpoints.map(({ endpoint }) => endpoint)];
  expect(lines).toEqual(expect.arrayContaining(words));
});

it('another architecture, runtime, version or less of it', () => {
  const { files } = list(
    '--architecture',
    'arm64',
    '--container-runtime',
    'crio',
    '--with',
    'crictl=v1.30.0',
    '--without',
    'cni-plugins',
  );
  expect(files.map(({ name }) => name)).toEqual(['kubelet', 'kubeadm', 'kubectl', 'crio', 'crictl']);
  expect(files.every(({ url }) => url.includes('arm64'))).toBe(true);
  expect(files.at(-1)?.version).toBe('1.30.0');
});

it.each([
  [['--architecture', 'riscv'], 'it is one of amd64, arm64'],
  [['--container-runtime', 'docker'], 'it is one of containerd, crio'],
  [['--with', 'containerd'], 'write it like --with containerd=2.3.7'],
  [['--without', 'kubelet'], 'it is one of crictl, cni-plugins'],
  [['--kubernetes-version', 'v1.99.0'], 'nothing is known of Kubernetes 1.99'],
  [['--nothing'], "Unknown option '--nothing'"],
])('%j is refused', (args, message) => {
  expect(() => list(...args)).toThrow(message);
});

it('wants to know which Kubernetes', () => {
  expect(() => listCommand([])).toThrow('--kubernetes-version v1.36.3');
});
