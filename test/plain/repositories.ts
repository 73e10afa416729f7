// SPDX-License-Identifier: Apache-2.0
// Package repositories as upstream has them, with what we built ourselves, signed with a key of our own: Kubernetes', Docker's, and Debian's.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { cpSync, createReadStream, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { dirname, join, normalize } from 'node:path';
import { ROUTER } from '../../hack/hosts/network.ts';
import { writePackageIndex } from '../../hack/hosts/package-index.ts';
import type { PlainParts } from '../../hack/hosts/plain-parts.ts';
import { install } from '../../hack/hosts/rootfs.ts';
import { runProgram } from '../../hack/stack/process.ts';

const PORT = 8081;

/** One sentence that says what is missing to sign packages, or nothing. */
export function whyNoRepositories(): string | undefined {
  const { error } = spawnSync('gpg', ['--version']);
  return error === undefined ? undefined : 'there is no gpg. On Debian: apt-get install gnupg';
}

export interface Repositories {
  /** For `source.packages.kubernetes.baseURL`. */
  readonly kubernetesURL: string;
  /** For `source.packages.containerRuntime.baseURL`. */
  readonly runtimeURL: string;
  /** Line of a sources.list for what Kubernetes needs of the distribution. */
  readonly distribution: string;
  /** Whose key is given out where Kubernetes' repository has it: the one that signed, somebody's, or none. */
  giveKey(which: 'right' | 'wrong' | 'none'): void;
  stop(): Promise<void>;
}

/** Everything is below `dir`; listens when the promise settles. */
export async function startRepositories(parts: PlainParts, dir: string): Promise<Repositories> {
  const root = join(dir, 'www');
  const minor = /^v1\.\d+/.exec(parts.releases[0].version)![0];
  const kubernetes = join(root, 'kubernetes', minor, 'deb');
  const signer = await createSigner(join(dir, 'signer'));
  const stranger = await createSigner(join(dir, 'stranger'));
  const work = join(dir, 'work');
  for (const deb of kubernetesPackages(parts)) await buildPackage(deb, kubernetes, work);
  await writePackageIndex(kubernetes);
  await writeRelease(kubernetes, { lists: ['Packages'], signer });

  const docker = join(root, 'docker/debian');
  const pool = join(docker, 'pool');
  await buildPackage(runtimePackage(parts), pool, work);
  await writePackageIndex(pool);
  const suite = join(docker, 'dists/bookworm');
  const list = 'stable/binary-amd64/Packages';
  const packages = readFileSync(join(pool, 'Packages'), 'utf8').replaceAll('Filename: ./', 'Filename: pool/');
  write(join(suite, list), packages);
  await writeRelease(suite, { lists: [list], signer });
  write(join(docker, 'gpg'), signer.publicKey);

  const debian = join(root, 'debian');
  cpSync(parts.packages, debian, { recursive: true });
  await writePackageIndex(debian);

  const server = createServer((request, response) => {
    const file = join(
      root,
      normalize(decodeURIComponent(new URL(request.url ?? '/', 'http://site').pathname)),
    );
    const size = statSync(file, { throwIfNoEntry: false });
    if (size?.isFile() !== true) return void response.writeHead(404).end();
    response.writeHead(200, { 'content-length': size.size });
    createReadStream(file).pipe(response);
  });
  await new Promise<void>((resolve) => server.listen(PORT, ROUTER, resolve));
  const url = `http://${ROUTER}:${PORT}`;
  return {
    kubernetesURL: `${url}/kubernetes`,
    runtimeURL: `${url}/docker`,
    distribution: `deb [trusted=yes] ${url}/debian ./`,
    giveKey(which) {
      const file = join(kubernetes, 'Release.key');
      rmSync(file, { force: true });
      if (which !== 'none') write(file, (which === 'right' ? signer : stranger).publicKey);
    },
    async stop() {
      server.closeAllConnections();
      await new Promise<void>((resolve) => void server.close(() => resolve()));
      for (const one of [signer, stranger]) await one.forget();
    },
  };
}

interface Package {
  readonly name: string;
  readonly version: string;
  readonly depends: string;
  /** Path on a machine, and the file that is copied there, or what is written. */
  readonly files: Readonly<Record<string, { readonly from: string } | { readonly text: string }>>;
  /** tar.gz that is unpacked at a path. */
  readonly archive?: { readonly from: string; readonly to: string };
}

const KUBELET =
  '[Unit]\nDescription=kubelet\n[Service]\nExecStart=/usr/bin/kubelet\nRestart=always\nRestartSec=10\nStartLimitInterval=0\n[Install]\nWantedBy=multi-user.target\n';
const KUBEADM_DROP_IN = `[Service]
Environment="KUBELET_KUBECONFIG_ARGS=--bootstrap-kubeconfig=/etc/kubernetes/bootstrap-kubelet.conf --kubeconfig=/etc/kubernetes/kubelet.conf"
Environment="KUBELET_CONFIG_ARGS=--config=/var/lib/kubelet/config.yaml"
EnvironmentFile=-/var/lib/kubelet/kubeadm-flags.env
EnvironmentFile=-/etc/default/kubelet
ExecStart=
ExecStart=/usr/bin/kubelet $KUBELET_KUBECONFIG_ARGS $KUBELET_CONFIG_ARGS $KUBELET_KUBEADM_ARGS $KUBELET_EXTRA_ARGS
`;

/** Named and made up as those of pkgs.k8s.io; cri-tools is empty, because nothing of it is called. */
function kubernetesPackages({ releases: [{ version, binaries }], plugins }: PlainParts): Package[] {
  const own = { version: `${version.slice(1)}-1.1` };
  const unit = '/usr/lib/systemd/system/kubelet.service';
  return [
    {
      ...{ ...own, name: 'kubelet', depends: 'kubernetes-cni' },
      files: { '/usr/bin/kubelet': { from: binaries.kubelet }, [unit]: { text: KUBELET } },
    },
    {
      ...{ ...own, name: 'kubeadm', depends: 'kubelet, cri-tools' },
      files: {
        '/usr/bin/kubeadm': { from: binaries.kubeadm },
        [`${unit}.d/10-kubeadm.conf`]: { text: KUBEADM_DROP_IN },
      },
    },
    {
      ...{ ...own, name: 'kubectl', depends: '' },
      files: { '/usr/bin/kubectl': { from: binaries.kubectl } },
    },
    { ...own, name: 'cri-tools', depends: '', files: {} },
    {
      ...{ name: 'kubernetes-cni', version: `${plugins.version}-1.1`, depends: '', files: {} },
      archive: { from: plugins.archive, to: '/opt/cni/bin' },
    },
  ];
}

const CONTAINERD =
  '[Unit]\nDescription=containerd\n[Service]\nExecStart=/usr/bin/containerd\nType=notify\nDelegate=yes\nKillMode=process\nRestart=always\n[Install]\nWantedBy=multi-user.target\n';

/** Docker's has runc in it; here Debian's comes along. */
function runtimePackage({ containerd }: PlainParts): Package {
  return {
    name: 'containerd.io',
    version: `${containerd.version}-1~debian.12~bookworm`,
    depends: 'runc',
    files: { '/usr/lib/systemd/system/containerd.service': { text: CONTAINERD } },
    archive: { from: containerd.archive, to: '/usr' },
  };
}

async function buildPackage(deb: Package, to: string, work: string): Promise<void> {
  const { name, version, depends, files, archive } = deb;
  const control = [
    ...[
      `Package: ${name}`,
      `Version: ${version}`,
      'Architecture: amd64',
      'Maintainer: the site <site@site.test>',
    ],
    ...(depends === '' ? [] : [`Depends: ${depends}`]),
    ...['Description: made for a test', ''],
  ];
  write(join(work, 'DEBIAN/control'), control.join('\n'));
  for (const [path, what] of Object.entries(files)) {
    if ('from' in what) install(what.from, join(work, path));
    else write(join(work, path), what.text);
  }
  if (archive !== undefined) {
    mkdirSync(join(work, archive.to), { recursive: true });
    await runProgram('tar', ['-xzf', archive.from, '-C', join(work, archive.to)]);
  }
  mkdirSync(to, { recursive: true });
  // Not compressed: it goes over no line.
  const file = join(to, `${name}_${version}_amd64.deb`);
  await runProgram('dpkg-deb', ['--root-owner-group', '-Znone', '--build', work, file]);
  rmSync(work, { recursive: true });
}

interface Signer {
  /** ASCII armoured. */
  readonly publicKey: string;
  /** Signs the text in the text itself. */
  sign(text: string): Promise<string>;
  /** Ends what gpg has started. */
  forget(): Promise<void>;
}

async function createSigner(home: string): Promise<Signer> {
  mkdirSync(home, { recursive: true, mode: 0o700 });
  const gpg = (args: readonly string[], input = '') =>
    runProgram('gpg', ['--homedir', home, '--batch', '--quiet', '--passphrase', '', ...args], { input });
  await gpg(['--quick-gen-key', 'the site <site@site.test>', 'rsa3072', 'sign', 'never']);
  return {
    publicKey: await gpg(['--armor', '--export']),
    sign: (text) => gpg(['--clearsign', '--digest-algo', 'SHA256'], text),
    forget: async () => void (await runProgram('gpgconf', ['--homedir', home, '--kill', 'all'])),
  };
}

async function writeRelease(
  folder: string,
  { lists, signer }: { readonly lists: readonly string[]; readonly signer: Signer },
): Promise<void> {
  const sums = lists.map((list) => {
    const content = readFileSync(join(folder, list));
    return ` ${createHash('sha256').update(content).digest('hex')} ${content.length} ${list}`;
  });
  const head = ['Origin: the site', 'Suite: stable', 'Codename: bookworm', 'Components: stable'];
  const dated = [`Date: ${new Date().toUTCString()}`, 'Architectures: amd64', 'SHA256:', ...sums, ''];
  write(join(folder, 'InRelease'), await signer.sign([...head, ...dated].join('\n')));
}

function write(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}
