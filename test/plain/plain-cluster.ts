// SPDX-License-Identifier: Apache-2.0
// A cluster on bare hosts from our own template, with what these hosts need, and what a site tells it.
import { parseAllDocuments, stringify } from 'yaml';
import type { HostMachineSpec } from '../../api/host.ts';
import type { KubeadmConfigSpec } from '../../api/kubeadmconfig.ts';
import type { ApiObject } from '../../api/meta.ts';
import type { HostPreparation } from '../../api/preparation.ts';
import { CLUSTER, machineConfig, type Size } from '../hosts/cluster.ts';
import { NAMESPACE, type Site } from '../hosts/site.ts';

/** Of the control plane; no host has it by itself. */
export const VIRTUAL_IP = '10.88.55.200';

/** Name of the Secret with the password of the registries. */
export const REGISTRY_SECRET = 'registry';

/** What these hosts cannot be without: they share a kernel with cgroups of the first version. */
export const ON_SHARED_KERNEL: HostPreparation = {
  ignorePreflight: ['Cgroups'],
  containerRuntime: {
    cgroupDriver: 'cgroupfs',
    additionalConfig: `[plugins.'io.containerd.cri.v1.runtime']\n  restrict_oom_score_adj = true\n`,
  },
};

/** Where a site has what its hosts need. */
export interface Supply {
  readonly artifactsURL: string;
  /** In the order in which they are asked. */
  readonly registries: readonly string[];
  /** PEM of the CA of the registries. */
  readonly caBundle: string;
}

/** As an air-gapped site writes it. */
export function preparationFrom({ artifactsURL, registries, caBundle }: Supply): HostPreparation {
  const mirrors = registries.map((endpoint) => ({ endpoint, caBundle, authRef: { name: REGISTRY_SECRET } }));
  return {
    ...ON_SHARED_KERNEL,
    source: { artifacts: { baseURL: artifactsURL } },
    registries: [{ name: '*', mirrors }],
  };
}

/** The Secret that {@link preparationFrom} names. */
export function registrySecret(login: { readonly username: string; readonly password: string }): string {
  return stringify({
    ...{ apiVersion: 'v1', kind: 'Secret', metadata: { name: REGISTRY_SECRET, namespace: NAMESPACE } },
    stringData: login,
  });
}

interface Templated extends ApiObject {
  spec: {
    kubeadmConfigSpec?: KubeadmConfigSpec;
    template?: { spec: KubeadmConfigSpec & { host?: HostMachineSpec } };
    rollout?: { strategy: { rollingUpdate: { maxSurge: number } } };
  };
}

export interface PlainCluster {
  readonly size: Size;
  readonly version: string;
  /** None for hosts that have all of it. */
  readonly preparation: HostPreparation | undefined;
}

/** `clusterctl generate cluster --flavor plain-hosts-air-gapped`; what the template takes no variable for is changed in it, as a user would. */
export async function plainManifest(
  { management }: Pick<Site, 'management'>,
  { size, version, preparation }: PlainCluster,
): Promise<string> {
  const flags = [
    ...['--flavor=plain-hosts-air-gapped', `--kubernetes-version=${version}`],
    `--control-plane-machine-count=${size.controlPlanes}`,
    `--worker-machine-count=${size.workers}`,
  ];
  const text = await management.cluster.clusterctl.run(
    ['generate', 'cluster', CLUSTER, ...flags],
    management.cluster.apiServer,
    {
      ...{
        VIRTUAL_IP,
        ARTIFACTS_URL: 'http://see.below',
        REGISTRY_URL: 'http://see.below',
        SITE_CA: 'below',
      },
      // Three hosts for three machines: none is to spare.
      CONTROL_PLANE_MAX_SURGE: size.controlPlanes > 1 ? '0' : '1',
    },
  );
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Templated);
  for (const object of objects) {
    if (object.kind === 'KubeadmControlPlane') object.spec.kubeadmConfigSpec = machineConfig();
    if (object.kind === 'KubeadmConfigTemplate') object.spec.template!.spec = machineConfig();
    if (object.kind === 'TSMachineTemplate') {
      const host = object.spec.template!.spec.host!;
      if (preparation === undefined) delete host.preparation;
      else host.preparation = preparation;
    }
  }
  return objects.map((object) => `---\n${stringify(object)}`).join('');
}
