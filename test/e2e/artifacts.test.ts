// SPDX-License-Identifier: Apache-2.0
// A site without internet: what the publishers have becomes a folder, the folder a web server and a registry. With real registries.
import { createHash } from 'node:crypto';
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { artifactsCommand } from '../../cli/artifacts/commands.ts';
import { readImageArchive } from '../../cli/artifacts/oci-archive.ts';
import { runIsolated } from '../../hack/hosts/isolation.ts';
import { cacheDir, type Stack, stack as findStack } from '../../hack/stack/build.ts';
import { hostSoftwareDir, registrySoftware } from '../../hack/stack/host-software.ts';
import { freePort } from '../../hack/stack/ports.ts';
import { runProgram, startServer, waitUntil } from '../../hack/stack/process.ts';
import { type TemporaryDirectory, temporaryDirectory } from '../../hack/stack/temporary-directory.ts';
import { SITE_VERSIONS, VERSIONS } from '../../hack/stack/versions.ts';
import { type Artifact, parseManifest } from '../../preparation/artifacts/manifest.ts';
import { imagesFor } from '../../preparation/artifacts/versions.ts';
import {
  type FileHost,
  HTPASSWD,
  makeCertificates,
  PASSWORD,
  publish,
  type RegistryHost,
  seedImage,
  startFileHost,
  startRegistry,
  startTokenHost,
  USER,
} from './artifact-servers.ts';

const VERSION: string = VERSIONS.kubernetes;
/** A patch release before: shares coredns, etcd and pause with it. */
const OTHER = 'v1.36.2';
const KUBECTL = `/dl/release/${VERSION}/bin/linux/amd64/kubectl`;
const FURTHER = 'docker.io/library/network-plugin:1';

let stack: Stack;
let temporary: TemporaryDirectory;
let publishers: FileHost;
let registryBinary: string;
let upstream: RegistryHost;
/** By name: what the registry of upstream has for amd64. */
const digests = new Map<string, string>();
const owned: (() => Promise<void> | void)[] = [];

const path = (...parts: string[]) => join(temporary.path, ...parts);

beforeAll(async () => {
  stack = await findStack();
  registryBinary = await registrySoftware((line) => process.stderr.write(`${line}\n`));
  temporary = temporaryDirectory('artifacts');
  for (const version of [VERSION, OTHER]) publishKubernetes(version);
  await publishComponents();
  publishers = await startFileHost(path('publishers'));
  owned.push(() => publishers.stop());
  upstream = await registry('upstream');
  const layer = await layerWith(stack.binaries.kubectl);
  const small = await layerWith(import.meta.filename);
  for (const name of new Set([...imagesFor(VERSION), ...imagesFor(OTHER), FURTHER])) {
    const content = name.includes('kube-apiserver') ? layer : small;
    digests.set(name, await seedImage(upstream.url, name, content));
  }
});
afterAll(async () => {
  for (const end of owned.splice(0).reverse()) await end();
  temporary?.remove();
});

function publishKubernetes(version: string): void {
  const dir = path('publishers/dl/release', version, 'bin/linux/amd64');
  const sources = { kubeadm: 'kubeadm', kubectl: 'kubectl', kubelet: 'kube-scheduler' } as const;
  for (const [name, source] of Object.entries(sources)) {
    publish(join(dir, name), stack.binaries[source], '.sha256');
  }
}

/** Archives as the publishers of these make them, with other programs inside. */
async function publishComponents(): Promise<void> {
  const github = path('publishers/github');
  mkdirSync(path('content/bin'), { recursive: true });
  for (const name of ['crictl', 'bin/containerd', 'bridge'])
    writeFileSync(path('content', name), `program ${name}\n`.repeat(5000), { mode: 0o755 });
  const pack = async (name: string, ...members: string[]) => {
    await runProgram('tar', ['-C', path('content'), '-czf', path(name), ...members]);
    return path(name);
  };
  const releases = (repository: string, version: string) =>
    join(github, repository, 'releases/download', `v${version}`);
  const containerd = 'containerd-2.3.7-linux-amd64.tar.gz';
  publish(
    join(releases('containerd/containerd', '2.3.7'), containerd),
    await pack(containerd, 'bin/containerd'),
    '.sha256sum',
  );
  const plugins = 'cni-plugins-linux-amd64-v1.9.1.tgz';
  publish(
    join(releases('containernetworking/plugins', '1.9.1'), plugins),
    await pack(plugins, 'bridge'),
    '.sha256',
  );
  const crictl = 'crictl-v1.36.0-linux-amd64.tar.gz';
  publish(
    join(releases('kubernetes-sigs/cri-tools', '1.36.0'), crictl),
    await pack(crictl, 'crictl'),
    '.sha256',
  );
  const runc = join(releases('opencontainers/runc', '1.5.2'), 'runc.amd64');
  publish(runc, path('content/bridge'), '.sha256');
  // One list for all its files.
  const sum = readFileSync(`${runc}.sha256`, 'utf8');
  writeFileSync(join(dirname(runc), 'runc.sha256sum'), `${'0'.repeat(64)} *runc.arm64\n${sum} *runc.amd64\n`);
}

/** A layer with one file. */
async function layerWith(file: string): Promise<Buffer> {
  await runProgram('tar', ['-C', dirname(file), '-cf', path('layer.tar'), file.split('/').at(-1)!]);
  return readFileSync(path('layer.tar'));
}

async function registry(name: string, options: { auth?: object; tls?: { cert: string; key: string } } = {}) {
  const started = await startRegistry({ binary: registryBinary, dir: path(name), ...options });
  owned.push(() => started.server.stop());
  return started;
}

const said: string[] = [];

function run(...args: string[]): Promise<string> {
  said.length = 0;
  return artifactsCommand(args, { say: (line) => said.push(line), ended: new AbortController().signal });
}

function bundleArgs(dir: string, from: RegistryHost = upstream, version = VERSION): string[] {
  return [
    ...['bundle', '-o', dir, '--kubernetes-version', version],
    ...['--mirror', `dl.k8s.io=${publishers.url}/dl`, '--mirror', `github.com=${publishers.url}/github`],
    ...['--mirror', `registry.k8s.io=${from.url}`, '--mirror', `docker.io=${from.url}`],
  ];
}

function manifestOf(dir: string): Artifact[] {
  return parseManifest(readFileSync(join(dir, 'manifest'), 'utf8'));
}

function sumOf(file: string): string {
  return createHash('sha256').update(readFileSync(file)).digest('hex');
}

/** Everything below a folder that is not in the manifest. */
function strays(dir: string): string[] {
  const listed = new Set(['manifest', ...manifestOf(dir).map((artifact) => artifact.path)]);
  return readdirSync(dir, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => join(entry.parentPath, entry.name).slice(dir.length + 1))
    .filter((file) => !listed.has(file));
}

it('names the images that the kubeadm of the stack asks for', async () => {
  expect(imagesFor(VERSION).sort()).toEqual(await kubeadmImages(stack.binaries.kubeadm, VERSION));
});

const previousKubeadm = join(
  dirname(cacheDir()),
  `hosts_kubernetes-${SITE_VERSIONS.previousKubernetes}_${platform()}-${arch()}/bin/kubeadm`,
);
const notBuilt = existsSync(previousKubeadm) ? '' : ' (not built: node hack/hosts/plain-parts.ts)';

it.skipIf(notBuilt !== '')(`names the images that the kubeadm before it asks for${notBuilt}`, async () => {
  const version = SITE_VERSIONS.previousKubernetes;
  expect(imagesFor(version).sort()).toEqual(await kubeadmImages(previousKubeadm, version));
});

async function kubeadmImages(kubeadm: string, version: string): Promise<string[]> {
  const answer = await runProgram(kubeadm, ['config', 'images', 'list', '--kubernetes-version', version]);
  return answer.trim().split('\n').sort();
}

it('makes a bundle of everything, each file with its sum', async () => {
  await run(...bundleArgs(path('bundle')), '--images', FURTHER);
  const artifacts = manifestOf(path('bundle'));
  for (const { sha256, size, path: file } of artifacts) {
    expect(sumOf(path('bundle', file)), file).toBe(sha256);
    expect(statSync(path('bundle', file)).size, file).toBe(size);
  }
  const names = (kind: string) => artifacts.filter((each) => each.kind === kind).map(({ name }) => name);
  expect(names('binary').sort()).toEqual(['crictl', 'kubeadm', 'kubectl', 'kubelet', 'runc']);
  expect(names('archive').sort()).toEqual(['cni-plugins', 'containerd']);
  expect(names('image').sort()).toEqual([...imagesFor(VERSION), FURTHER].sort());
  expect(strays(path('bundle'))).toEqual([]);
  const crictl = artifacts.find(({ name }) => name === 'crictl')!;
  expect(readFileSync(path('bundle', crictl.path), 'utf8')).toContain('program crictl');
  expect(statSync(path('bundle', crictl.path)).mode & 0o111).toBe(0o111);
});

it('takes the image of the architecture, byte by byte', () => {
  for (const { name, path: file } of imagesIn(path('bundle'))) {
    const image = readImageArchive(path('bundle', file), 'amd64');
    expect(image.name).toBe(name);
    expect(image.digest).toBe(digests.get(name));
    expect(`sha256:${createHash('sha256').update(image.manifest).digest('hex')}`).toBe(image.digest);
  }
});

function imagesIn(dir: string): Artifact[] {
  return manifestOf(dir).filter(({ kind }) => kind === 'image');
}

it('asks nobody for what it has, and takes a damaged file again', async () => {
  const before = readFileSync(path('bundle/manifest'), 'utf8');
  const [asked, pulled] = [publishers.answers.length, upstream.requests().length];
  await run(...bundleArgs(path('bundle')), '--images', FURTHER);
  expect(publishers.answers.slice(asked)).toEqual([]);
  expect(upstream.requests().slice(pulled)).toEqual([]);
  appendFileSync(path('bundle', `kubernetes/${VERSION}/linux-amd64/kubectl`), 'x');
  await run(...bundleArgs(path('bundle')), '--images', FURTHER);
  expect(publishers.answers.slice(asked).map((answer) => answer.path)).toEqual([
    `${KUBECTL}.sha256`,
    KUBECTL,
  ]);
  expect(readFileSync(path('bundle/manifest'), 'utf8')).toBe(before);
});

it('adds another version, and pulls what both share once', async () => {
  const pulled = upstream.requests().length;
  await run(...bundleArgs(path('bundle'), upstream, OTHER));
  expect(new Set(manifestOf(path('bundle')).map(({ version }) => version))).toContain(VERSION);
  expect(imagesIn(path('bundle')).filter(({ version }) => version === OTHER)).toHaveLength(7);
  const requests = upstream.requests().slice(pulled);
  expect(requests.filter((line) => /coredns|etcd|pause/.test(line))).toEqual([]);
  expect(requests.some((line) => line.includes(`kube-proxy/manifests/${OTHER}`))).toBe(true);
});

it('goes on in the middle of a file when the connection breaks, in the same run and in the next', async () => {
  const dir = path('cut');
  const { size } = statSync(stack.binaries.kubectl);
  publishers.cut(KUBECTL, 10_000_000, 5);
  const asked = publishers.answers.length;
  await expect(run(...bundleArgs(dir), '--only', 'files')).rejects.toThrow(/kubectl/);
  expect(existsSync(join(dir, 'manifest'))).toBe(false);
  expect(existsSync(join(dir, `kubernetes/${VERSION}/linux-amd64/kubectl`))).toBe(false);
  await run(...bundleArgs(dir), '--only', 'files');
  const answers = publishers.answers.slice(asked);
  const kubectl = answers.filter((answer) => answer.path === KUBECTL);
  expect(kubectl).toHaveLength(6);
  expect(kubectl.reduce((sum, { bytes }) => sum + bytes, 0)).toBe(size);
  expect(answers.filter((answer) => answer.path.endsWith('/kubelet'))).toHaveLength(1);
  expect(strays(dir)).toEqual([]);
});

it('keeps no file that is not the one that was published', async () => {
  const dir = path('damaged');
  const sums = path(`publishers${KUBECTL}.sha256`);
  const right = readFileSync(sums, 'utf8');
  writeFileSync(sums, 'a'.repeat(64));
  try {
    await expect(run(...bundleArgs(dir), '--only', 'files')).rejects.toThrow(
      new RegExp(`${KUBECTL}: SHA-256 is [0-9a-f]{64}, published is a{64}`),
    );
  } finally {
    writeFileSync(sums, right);
  }
  expect(readdirSync(join(dir, `kubernetes/${VERSION}/linux-amd64`))).not.toContain('kubectl');
  expect(existsSync(join(dir, 'manifest'))).toBe(false);
  await run(...bundleArgs(dir), '--only', 'files');
  expect(strays(dir)).toEqual([]);
});

it('keeps no blob that is not what its digest says', async () => {
  const damaged = await registry('damaged-registry');
  for (const name of imagesFor(VERSION)) await seedImage(damaged.url, name, Buffer.from(name));
  const [config] = readImageBlobs('damaged-registry');
  const content = readFileSync(config!, 'utf8');
  writeFileSync(config!, content.replace('linux', 'Linux'));
  await expect(run(...bundleArgs(path('damaged-images'), damaged), '--only', 'images')).rejects.toThrow(
    /SHA-256 is [0-9a-f]{64}, published is [0-9a-f]{64}/,
  );
  expect(existsSync(path('damaged-images/manifest'))).toBe(false);
});

/** Files of configs that a registry has. */
function readImageBlobs(name: string): string[] {
  const blobs = path(name, 'store/docker/registry/v2/blobs/sha256');
  return readdirSync(blobs, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((file) => readFileSync(file, 'utf8').includes('rootfs'));
}

it('pushes to a registry with a CA and a password of its own, and what comes back is the same', async () => {
  mkdirSync(path('keys'));
  writeFileSync(path('keys/htpasswd'), HTPASSWD);
  writeFileSync(path('keys/password'), `${PASSWORD}\n`, { mode: 0o600 });
  const { ca, cert, key } = await makeCertificates(path('keys'));
  const auth = { htpasswd: { realm: 'site', path: path('keys/htpasswd') } };
  const site = await registry('site', { auth, tls: { cert, key } });
  const push = ['push', '--bundle', path('bundle'), '--registry', site.url];
  const login = ['--username', USER, '--password-file', path('keys/password')];
  await expect(run(...push, ...login)).rejects.toThrow(/certificate/);
  await expect(run(...push, '--ca', ca)).rejects.toThrow(/wants a login/);
  writeFileSync(path('keys/wrong'), 'wrong');
  const wrong = ['--username', USER, '--password-file', path('keys/wrong')];
  await expect(run(...push, '--ca', ca, ...wrong)).rejects.toThrow(`does not take the login of ${USER}`);
  await run(...push, '--ca', ca, ...login);
  const pushed = site.requests().length;
  await run(...push, '--ca', ca, ...login);
  expect(
    site
      .requests()
      .slice(pushed)
      .filter((line) => /^(PUT|POST|PATCH)/.test(line)),
  ).toEqual([]);
  await run(
    ...bundleArgs(path('back'), site),
    ...['--only', 'images', '--images', FURTHER, '--ca', ca],
    ...['--login', `${new URL(site.url).host}=${USER}:${path('keys/password')}`],
  );
  for (const { path: file } of imagesIn(path('back'))) {
    expect(sumOf(path('back', file)), file).toBe(sumOf(path('bundle', file)));
  }
});

it('goes on with a push that was cut, and puts images below a prefix', async () => {
  const site = await registry('prefixed');
  const push = ['push', '--bundle', path('bundle'), '--registry', site.url, '--prefix', 'mirror/k8s'];
  await run(...push);
  const repositories = path('prefixed/store/docker/registry/v2/repositories/mirror/k8s');
  expect(existsSync(join(repositories, 'coredns/coredns'))).toBe(true);
  // As after a push that ended between the blobs and the manifest.
  rmSync(join(repositories, 'pause/_manifests'), { recursive: true });
  const before = site.requests().length;
  await run(...push);
  const requests = site.requests().slice(before);
  expect(requests.filter((line) => line.startsWith('POST'))).toEqual([]);
  expect(requests.filter((line) => line.startsWith('PUT'))).toEqual([
    expect.stringMatching(/^PUT \/v2\/mirror\/k8s\/pause\/manifests\/\S+ 201$/),
  ]);
});

it('pushes nothing that was damaged on its way', async () => {
  const dir = path('carried');
  await runProgram('cp', ['-r', path('bundle'), dir]);
  const [first] = imagesIn(dir);
  appendFileSync(join(dir, first!.path), 'x');
  const site = await registry('carried-registry');
  await expect(run('push', '--bundle', dir, '--registry', site.url)).rejects.toThrow(/Carry it over again/);
});

it('gets tokens where a registry sends it to for them', async () => {
  const tokens = await startTokenHost(temporary.path);
  owned.push(tokens.stop);
  const site = await registry('tokens', { auth: tokens.auth });
  writeFileSync(path('token-password'), PASSWORD);
  const push = ['push', '--bundle', path('bundle'), '--registry', site.url];
  await expect(run(...push)).rejects.toThrow(/wants a login/);
  await run(...push, '--username', USER, '--password-file', path('token-password'));
  expect(tokens.scopes).toContain('repository:kube-proxy:pull,push');
  await run(...bundleArgs(path('with-tokens'), site), '--only', 'images');
  expect(imagesIn(path('with-tokens'))).toHaveLength(7);
});

const containerd = join(hostSoftwareDir(), 'bin');
const whyNoContainerd =
  process.platform !== 'linux' || process.getuid?.() !== 0
    ? ' (needs Linux and root)'
    : existsSync(join(containerd, 'ctr'))
      ? ''
      : ' (containerd is not built: node hack/hosts/enter.ts)';

it.skipIf(whyNoContainerd !== '')(
  `gives containerd images under their whole names${whyNoContainerd}`,
  async () => {
    const script = `run=$1 PATH=$2:$PATH; shift 2; mkdir -p "$run"
cat >"$run/config.toml" <<END
version = 3
root = '$run/root'
state = '$run/state'
disabled_plugins = ['io.containerd.grpc.v1.cri', 'io.containerd.cri.v1.runtime', 'io.containerd.cri.v1.images', 'io.containerd.nri.v1.nri']
[grpc]
  address = '$run/sock'
[ttrpc]
  address = '$run/ttrpc'
END
containerd --config "$run/config.toml" 2>"$run/log" & daemon=$!
n=0; until [ -S "$run/sock" ]; do n=$((n+1)); [ $n -lt 100 ] || { cat "$run/log" >&2; exit 1; }; sleep 0.1; done
for archive; do ctr --address "$run/sock" --namespace k8s.io images import "$archive" >/dev/null; done
ctr --address "$run/sock" --namespace k8s.io images list >"$run/images"
kill $daemon; wait $daemon || true`;
    const archives = imagesIn(path('bundle')).map((artifact) => path('bundle', artifact.path));
    await runIsolated(script, [path('containerd'), containerd, ...archives]);
    const images = readFileSync(path('containerd/images'), 'utf8');
    for (const { name } of imagesIn(path('bundle'))) {
      const line = images.split('\n').find((each) => each.startsWith(`${name} `));
      expect(line, name).toContain(digests.get(name));
    }
  },
);

it('serves the bundle until it is asked to end', async () => {
  const listen = `127.0.0.1:${await freePort()}`;
  const logFile = path('serve.log');
  const server = startServer({
    name: 'artifacts serve',
    binary: process.execPath,
    args: ['cli/ts-provider.js', 'artifacts', 'serve', '--bundle', path('bundle'), '--listen', listen],
    logFile,
    cwd: join(import.meta.dirname, '../..'),
  });
  owned.push(() => server.stop());
  const url = `http://${listen}`;
  const answers = async () => (await fetch(`${url}/manifest`)).ok;
  await waitUntil(answers, { what: 'the server', timeoutMs: 15_000, server });
  for (const { path: file, sha256, size } of manifestOf(path('bundle')).slice(0, 3)) {
    const response = await fetch(`${url}/${file}`);
    expect(response.headers.get('etag')).toBe(`"${sha256}"`);
    expect((await response.arrayBuffer()).byteLength).toBe(size);
    await expect.poll(() => readFileSync(logFile, 'utf8')).toContain(`GET "/${file}" 200 ${size}\n`);
  }
  await server.stop();
  expect(server.exitCode()).toBe(0);
});
