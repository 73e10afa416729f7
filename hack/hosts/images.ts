// SPDX-License-Identifier: Apache-2.0
// The images that kubeadm's clusters run, under the names by which kubeadm asks for them, and one pod to look at.
import { mkdirSync, readdirSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { goBuild } from '../stack/go.ts';
import { runProgram } from '../stack/process.ts';
import type { ImageContent } from './oci-archive.ts';

/** A web server on :8080 that says its host name; `/echo env`, `/echo get URL` and `/echo lookup NAME` for `kubectl exec`. */
export const ECHO_IMAGE = 'ts-provider.test/echo:1';

/** `registry.k8s.io/kube-apiserver:v1.36.3` and its like, in the order of that kubeadm. */
export async function kubeadmImages(kubeadm: string, version: string): Promise<string[]> {
  const answer = await runProgram(kubeadm, ['config', 'images', 'list', '--kubernetes-version', version]);
  return answer.trim().split('\n');
}

/** The one that holds the namespaces of a pod. */
export function pauseImage(names: readonly string[]): string {
  const name = names.find((image) => shortName(image) === 'pause');
  if (name === undefined) throw new Error(`kubeadm names no pause image: ${names.join(', ')}`);
  return name;
}

/** What a control plane runs besides the kubelet, and what any Node does. */
type ImageProgram =
  'kube-apiserver' | 'kube-controller-manager' | 'kube-scheduler' | 'kube-proxy' | 'etcd' | 'coredns';

export interface ImageParts {
  /** Path of each program; all of them are static. */
  readonly programs: Readonly<Record<ImageProgram, string>>;
  /** Folder of a Debian root: kube-proxy's image takes iptables and nft from it. */
  readonly debian: string;
  /** As {@link kubeadmImages} gives them. */
  readonly names: readonly string[];
  /** Folder for the programs that only these images need. */
  readonly dir: string;
}

/** What each image is made of. */
export async function imageContents(parts: ImageParts): Promise<ImageContent[]> {
  const small = await buildPrograms(parts.dir);
  const at = (path: string, source: string) => ({ files: { [path]: source }, entrypoint: [path] });
  const component = (name: ImageProgram) => at(`/usr/local/bin/${name}`, parts.programs[name]);
  const contents: Record<string, Omit<ImageContent, 'name'>> = {
    'kube-apiserver': component('kube-apiserver'),
    'kube-controller-manager': component('kube-controller-manager'),
    'kube-scheduler': component('kube-scheduler'),
    etcd: component('etcd'),
    coredns: at('/coredns', parts.programs.coredns),
    pause: at('/pause', small.pause),
    echo: at('/echo', small.echo),
    'kube-proxy': await proxyContent(parts.debian, parts.programs['kube-proxy']),
  };
  return [...parts.names, ECHO_IMAGE].map((name) => {
    const content = contents[shortName(name)];
    if (content === undefined) throw new Error(`Nobody knows how to make the image ${name}`);
    return { name, ...content };
  });
}

/** `registry.k8s.io/coredns/coredns:v1.14.2` -> `coredns`. */
function shortName(image: string): string {
  return image.replace(/:[^:/]*$/, '').replace(/^.*\//, '');
}

async function buildPrograms(dir: string): Promise<{ pause: string; echo: string }> {
  mkdirSync(dir, { recursive: true });
  for (const name of ['pause', 'echo']) {
    const binary = { name, module: 'programs', package: `./${name}`, version: 'v1', stamps: {} };
    await goBuild(binary, import.meta.dirname, dir);
  }
  return { pause: join(dir, 'pause'), echo: join(dir, 'echo') };
}

const IPTABLES = '/usr/sbin/xtables-nft-multi';
const TRIPLET = arch() === 'arm64' ? 'aarch64-linux-gnu' : 'x86_64-linux-gnu';

/** kube-proxy itself is static, but it runs iptables or nft, which load modules and libraries. */
async function proxyContent(debian: string, proxy: string): Promise<Omit<ImageContent, 'name'>> {
  const folder = `/usr/lib/${TRIPLET}/xtables`;
  const modules = readdirSync(join(debian, folder)).map((name) => join(folder, name));
  const programs = ['/usr/sbin/nft', IPTABLES, ...modules];
  const files = Object.fromEntries(programs.map((path) => [path, join(debian, path)]));
  for (const library of await librariesOf(debian, programs))
    files[library] = await realPathIn(debian, library);
  const names = ['iptables', 'ip6tables'].flatMap((name) => [name, `${name}-save`, `${name}-restore`]);
  const links = Object.fromEntries(names.map((name) => [`/usr/sbin/${name}`, IPTABLES]));
  const entrypoint = '/usr/local/bin/kube-proxy';
  return { files: { ...files, [entrypoint]: proxy }, links, entrypoint: [entrypoint] };
}

/** Absolute paths, the loader included, as the loader of that root finds them: modules have needs of their own. */
async function librariesOf(root: string, paths: readonly string[]): Promise<Set<string>> {
  const answer = await runProgram('chroot', [root, 'ldd', ...paths]);
  return new Set([...answer.matchAll(/(\/\S+) \(0x/g)].map(([, path = '']) => path));
}

/** The file behind links that are meant for the inside of `root`. */
async function realPathIn(root: string, path: string): Promise<string> {
  return join(root, (await runProgram('chroot', [root, 'realpath', path])).trim());
}
