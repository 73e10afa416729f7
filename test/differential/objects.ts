// SPDX-License-Identifier: Apache-2.0
// The objects of a scenario as people, core and the control plane provider would have left them.
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { Secret } from '../../api/cluster-api.ts';
import { ClusterKind, KubeadmConfigKind, MachineKind, MachinePoolKind } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL, CONTROL_PLANE_LABEL } from '../../api/labels.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import type { Scenario } from './scenario.ts';
import { NAMESPACE } from './world.ts';

/** An object of which the test knows no more than it writes. */
export type Manifest = KubeObject & {
  spec?: object;
  status?: object;
  data?: Record<string, string>;
  type?: string;
};

/** Name of the Secret that files and users of every scenario may refer to. */
export const CONTENT_SECRET = 'content';

/** What is in {@link CONTENT_SECRET}. */
export const CONTENT: Readonly<Record<string, string>> = {
  script: '#!/bin/bash\nset -euo pipefail\necho "from a Secret: $HOSTNAME"\n',
  'no-newline': 'one line',
  'trailing-newlines': 'two lines\n\n\n',
  template: 'version={{ .controlPlane.version }}\n',
  password: '$6$rounds=4096$c2FsdA$Yh0nVbqS5hZ0s1xq',
  empty: '',
};

/** Name of the Machine that holds a lock which is there already. */
export const LIVING_MACHINE = 'lock-holder';

const INFRASTRUCTURE = 'infrastructure.cluster.x-k8s.io';
const CONTROL_PLANE = 'controlplane.cluster.x-k8s.io';

/** A Machine must name an infrastructure machine; nobody looks for it here. */
const infrastructureRef = (name: string, kind = 'SomeMachine') => ({ apiGroup: INFRASTRUCTURE, kind, name });

/** Clusters that run init have one config each; joins share. */
export function clusterNameOf({ id, owner, cluster }: Scenario): string {
  if (owner === 'control-plane' && !cluster.initialized) return id;
  const hash = createHash('sha256').update(JSON.stringify(cluster)).digest('hex');
  return `shared-${hash.slice(0, 8)}`;
}

export function clusterManifest(name: string, { cluster }: Scenario): Manifest {
  const { endpoint, network = {}, controlPlane } = cluster;
  const { serviceDomain, services, pods } = network;
  const clusterNetwork = {
    ...(serviceDomain !== undefined && { serviceDomain }),
    ...(services !== undefined && { services: { cidrBlocks: services } }),
    ...(pods !== undefined && { pods: { cidrBlocks: pods } }),
  };
  return {
    ...typeOf(ClusterKind),
    metadata: { namespace: NAMESPACE, name },
    spec: {
      ...(cluster.paused === true && { paused: true }),
      ...(endpoint !== null && { controlPlaneEndpoint: endpoint ?? { host: '10.20.30.40', port: 6443 } }),
      ...(Object.keys(clusterNetwork).length > 0 && { clusterNetwork }),
      ...(controlPlane !== 'none' && { controlPlaneRef: controlPlaneRef(controlPlane) }),
      infrastructureRef: { apiGroup: INFRASTRUCTURE, kind: 'TSCluster', name },
    },
  };
}

/** What core's status says of the Cluster. */
export function clusterStatus({ cluster }: Scenario): object {
  const { initialized, infrastructureProvisioned = true } = cluster;
  return {
    // Core refuses an object without members (IC-6).
    ...((initialized || infrastructureProvisioned) && {
      initialization: {
        ...(infrastructureProvisioned && { infrastructureProvisioned }),
        ...(initialized && { controlPlaneInitialized: true }),
      },
    }),
    conditions: [
      {
        type: 'ControlPlaneInitialized',
        status: initialized ? 'True' : 'False',
        reason: initialized ? 'Initialized' : 'NotInitialized',
        message: '',
        lastTransitionTime: new Date().toISOString(),
      },
    ],
  };
}

/** Control planes are shared by version. */
export const controlPlaneName = (version: string) => `control-plane-${version.replaceAll('.', '-')}`;

function controlPlaneRef(version: string) {
  return { apiGroup: CONTROL_PLANE, kind: 'KubeadmControlPlane', name: controlPlaneName(version) };
}

/** What a controlPlaneRef names; nobody reconciles it. */
export function controlPlaneManifest(version: string): Manifest {
  return {
    apiVersion: `${CONTROL_PLANE}/v1beta2`,
    kind: 'KubeadmControlPlane',
    metadata: { namespace: NAMESPACE, name: controlPlaneName(version) },
    spec: {
      version,
      replicas: 1,
      machineTemplate: { spec: { infrastructureRef: infrastructureRef('template') } },
    },
  };
}

export function contentSecret(): Secret {
  const data = Object.entries(CONTENT).map(([key, text]) => [key, base64(text)] as const);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'Opaque',
    metadata: { namespace: NAMESPACE, name: CONTENT_SECRET },
    data: Object.fromEntries(data),
  };
}

/** `<cluster>-kubeconfig`, with the label that core's cache wants. */
export function workloadSecret(clusterName: string, kubeconfigFile: string): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'cluster.x-k8s.io/secret',
    metadata: {
      namespace: NAMESPACE,
      name: `${clusterName}-kubeconfig`,
      labels: { [CLUSTER_NAME_LABEL]: clusterName },
    },
    data: { value: readFileSync(kubeconfigFile).toString('base64') },
  };
}

/** The Machine or the MachinePool, without its status. */
export function ownerManifest(scenario: Scenario): Manifest {
  const { id, owner, version, moved } = scenario;
  const clusterName = clusterNameOf(scenario);
  const machine = {
    clusterName,
    ...(version !== undefined && { version }),
    infrastructureRef: infrastructureRef(id, scenario.infrastructure),
    bootstrap: {
      configRef: { apiGroup: 'bootstrap.cluster.x-k8s.io', kind: KubeadmConfigKind.kind, name: id },
      ...(moved === true && { dataSecretName: id }),
    },
  };
  const labels = {
    [CLUSTER_NAME_LABEL]: clusterName,
    ...(owner === 'control-plane' && { [CONTROL_PLANE_LABEL]: '' }),
  };
  const kind = ownerKind(scenario);
  return {
    ...typeOf(kind),
    metadata: { namespace: NAMESPACE, name: id, labels },
    spec: owner === 'pool' ? { clusterName, replicas: 1, template: { spec: machine } } : machine,
  };
}

export function ownerKind({ owner }: Scenario): Kind {
  return owner === 'pool' ? MachinePoolKind : MachineKind;
}

/** What core's status says of an owner whose node, or all of whose nodes, have joined. */
export function joinedStatus({ id, owner }: Scenario): object {
  return owner === 'pool' ? { nodeRefs: [{ kind: 'Node', name: id, uid: id }] } : { nodeRef: { name: id } };
}

export function configManifest(scenario: Scenario, owner: KubeObject): Manifest {
  const { id } = scenario;
  return {
    ...typeOf(KubeadmConfigKind),
    metadata: {
      namespace: NAMESPACE,
      name: id,
      labels: { [CLUSTER_NAME_LABEL]: clusterNameOf(scenario) },
      ownerReferences: [controllerReference(owner)],
    },
    spec: scenario.spec,
  };
}

/** Bootstrap data as an earlier run left it (KB-10); nobody is to touch it. */
export function dataSecret(scenario: Scenario, config?: KubeObject): Secret {
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'cluster.x-k8s.io/secret',
    metadata: {
      namespace: NAMESPACE,
      name: scenario.id,
      labels: { [CLUSTER_NAME_LABEL]: clusterNameOf(scenario) },
      ...(config !== undefined && { ownerReferences: [controllerReference(config)] }),
    },
    data: { value: base64('#cloud-config\nruncmd: [earlier]\n'), format: base64('cloud-config') },
  };
}

/** A lock as the holder's provider wrote it (KB-9). */
export function lockManifest(clusterName: string, machineName: string): Manifest {
  return {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      namespace: NAMESPACE,
      name: `${clusterName}-lock`,
      labels: { [CLUSTER_NAME_LABEL]: clusterName },
    },
    data: { 'lock-information': JSON.stringify({ machineName }) },
  };
}

/** A bootstrap token that expires after `lifetimeMs` from now. */
export function tokenManifest(token: string, lifetimeMs: number): Secret {
  const [id = '', secret = ''] = token.split('.');
  const expiration = new Date(Date.now() + lifetimeMs).toISOString().replace(/\.\d+Z$/, 'Z');
  const texts = {
    'token-id': id,
    'token-secret': secret,
    expiration,
    'usage-bootstrap-signing': 'true',
    'usage-bootstrap-authentication': 'true',
    'auth-extra-groups': 'system:bootstrappers:kubeadm:default-node-token',
    description: 'given',
  };
  const data = Object.entries(texts).map(([key, text]) => [key, base64(text)] as const);
  return {
    apiVersion: 'v1',
    kind: 'Secret',
    type: 'bootstrap.kubernetes.io/token',
    metadata: { namespace: 'kube-system', name: `bootstrap-token-${id}` },
    data: Object.fromEntries(data),
  };
}

function controllerReference({ apiVersion, kind, metadata }: KubeObject) {
  return { apiVersion, kind, name: metadata.name, uid: metadata.uid ?? '', controller: true };
}

function typeOf({ apiVersion, kind }: Kind): { apiVersion: string; kind: string } {
  return { apiVersion, kind };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
