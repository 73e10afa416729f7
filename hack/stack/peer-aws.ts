// SPDX-License-Identifier: Apache-2.0
// cluster-api-provider-aws, the peer that the bench of our AWS backend compares with: its manager and its manifests, made from its Go
// module. Built only when somebody asks: it is no part of the stack, and takes minutes.
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { parseAllDocuments } from 'yaml';
import type { KubeObject } from '../../runtime/object.ts';
import type { APIServer } from './api-server.ts';
import { cacheDir, type Stack } from './build.ts';
import { goBuild, moduleDir, requireGo } from './go.ts';
import { applyText } from './install.ts';
import { withLock } from './lock.ts';
import { runProgram } from './process.ts';
import { AWS_VERSIONS, PEER_AWS_BINARY } from './versions.ts';

/** The peer, as it can be run. */
export interface PeerAWS {
  readonly version: string;
  /** Path of its manager. */
  readonly binary: string;
  /** File with its Namespace, CRDs, roles and webhook configurations as one JSON List. */
  readonly manifests: string;
}

/** As its manifests name them. */
export const PEER_AWS_LABEL = 'infrastructure-aws';
export const PEER_AWS_ACCOUNT = { namespace: 'capa-system', name: 'capa-controller-manager' } as const;

const FOLDER = import.meta.dirname;

/** Needs a node, cert-manager, or the variables of clusterctl. */
const LEFT_OUT = new Set(['Deployment', 'Service', 'Certificate', 'Issuer', 'Secret']);

/** Finds it in the user's cache folder, or builds it into that. `say` gets one line per thing that takes time. */
export async function peerAWS(stack: Stack, say: (line: string) => void): Promise<PeerAWS> {
  const dir = peerAWSDir();
  mkdirSync(dir, { recursive: true });
  const peer: PeerAWS = {
    version: AWS_VERSIONS.clusterAPIProviderAWS,
    binary: join(dir, PEER_AWS_BINARY.name),
    manifests: join(dir, 'manifests.json'),
  };
  if (!isComplete(peer)) {
    const waiting = (pid: number) =>
      say(`process ${pid} is building ${PEER_AWS_BINARY.name}: waiting for it`);
    await withLock(`${dir}.lock`, () => build(peer, stack, say), waiting);
  }
  return peer;
}

/** Beside the folder of the stack; another version or platform has a folder of its own. */
export function peerAWSDir(env: NodeJS.ProcessEnv = process.env): string {
  const { clusterAPIProviderAWS: version } = AWS_VERSIONS;
  return join(dirname(cacheDir(env)), `cluster-api-provider-aws-${version}_${platform()}-${arch()}`);
}

/** Applies its manifests. */
export async function installPeerAWS(
  where: { stack: Stack; apiServer: APIServer },
  { manifests }: PeerAWS,
): Promise<void> {
  await applyText(where, readFileSync(manifests, 'utf8'));
  const wait = ['wait', '--for=condition=Established', '--timeout=60s', 'crd', '--all'];
  await runProgram(where.stack.binaries.kubectl, [`--kubeconfig=${where.apiServer.kubeconfig}`, ...wait]);
}

function isComplete({ binary, manifests }: PeerAWS): boolean {
  return existsSync(binary) && existsSync(manifests);
}

async function build(peer: PeerAWS, stack: Stack, say: (line: string) => void): Promise<void> {
  if (isComplete(peer)) return; // Whoever held the lock before us made it.
  await requireGo(FOLDER);
  say(`writing the manifests of ${PEER_AWS_BINARY.name} ${peer.version}`);
  const module = await moduleDir(PEER_AWS_BINARY.package, PEER_AWS_BINARY.module, FOLDER);
  const text = await runProgram(stack.binaries.kubectl, ['kustomize', join(module, 'config/default')]);
  const partial = `${peer.manifests}.${process.pid}`;
  writeFileSync(partial, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: installable(text) }));
  renameSync(partial, peer.manifests);
  if (existsSync(peer.binary)) return;
  say(`building ${PEER_AWS_BINARY.name} ${peer.version}, the first time it takes about 5 minutes`);
  await goBuild(PEER_AWS_BINARY, FOLDER, dirname(peer.binary));
}

/** Of the text of its kustomization, the objects that an API server without nodes can hold, definitions first. */
export function installable(text: string): KubeObject[] {
  const objects = parseAllDocuments(text)
    .map((document) => document.toJS() as KubeObject)
    .filter(({ kind }) => !LEFT_OUT.has(kind))
    .map((object) => (object.kind === 'ServiceAccount' ? withoutAnnotations(object) : object));
  const comesFirst = ({ kind }: KubeObject) => kind === 'Namespace' || kind === 'CustomResourceDefinition';
  return [...objects.filter(comesFirst), ...objects.filter((object) => !comesFirst(object))];
}

/** They hold a variable of clusterctl in the place of a key. */
function withoutAnnotations(object: KubeObject): KubeObject {
  const { annotations: _, ...metadata } = object.metadata;
  return { ...object, metadata };
}
