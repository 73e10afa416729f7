// SPDX-License-Identifier: Apache-2.0
// `spec.version` of a cluster's control plane object, the one variable of file templates (KB-20b).
import type { Cluster } from '../../api/cluster-api.ts';
import { CONTRACT_LABEL } from '../../api/labels.ts';
import type { Client } from '../../runtime/client.ts';
import { TransientError } from '../../runtime/errors.ts';
import { type Kind, type KubeObject, nameOf } from '../../runtime/object.ts';
import { singleFlight } from './single-flight.ts';

/** `undefined` when the cluster has no control plane object, or that one has no version. */
export type ControlPlaneVersion = (cluster: Cluster) => Promise<string | undefined>;

const CRDKind: Kind = {
  apiVersion: 'apiextensions.k8s.io/v1',
  kind: 'CustomResourceDefinition',
  plural: 'customresourcedefinitions',
  namespaced: false,
};

interface ControlPlane extends KubeObject {
  readonly spec?: { readonly version?: string };
}

/** Reads the object at the version that its CRD names for the contract, as core does (GEN-5, GEN-7). */
export function controlPlaneVersion(client: Client): ControlPlaneVersion {
  // A CRD's versions change with an upgrade of its provider only: then the read of the object fails and we look again.
  const kinds = new Map<string, Kind<ControlPlane>>();
  const flight = singleFlight<string | undefined>();

  return async (cluster) => {
    const reference = cluster.spec?.controlPlaneRef;
    if (reference === undefined || reference.name === '') return undefined;
    const name = { ...nameOf(cluster), name: reference.name };
    return flight(`${reference.kind}.${reference.apiGroup}/${name.namespace}/${name.name}`, async () => {
      const object = await client.get(await kindOf(reference.apiGroup, reference.kind), name).catch(forget);
      if (object !== undefined) return withV(object.spec?.version);
      throw new TransientError(
        `${reference.kind} ${name.namespace}/${name.name}, which spec.controlPlaneRef of Cluster ` +
          `${name.namespace}/${cluster.metadata.name} names, does not exist: spec.files needs its version`,
      );
    });
  };

  function forget(error: unknown): never {
    kinds.clear();
    throw error;
  }

  async function kindOf(group: string, kind: string): Promise<Kind<ControlPlane>> {
    // Core computes the plural in the same way for every kind of a provider.
    const plural = `${kind.toLowerCase()}s`;
    const crdName = `${plural}.${group}`;
    const known = kinds.get(crdName);
    if (known !== undefined) return known;
    const crd = await client.get(CRDKind, { namespace: '', name: crdName });
    const version = newest(crd?.metadata.labels?.[CONTRACT_LABEL] ?? '');
    if (version === undefined) {
      throw new TransientError(
        `CustomResourceDefinition ${crdName} does not exist or has no label ${CONTRACT_LABEL}: ` +
          'spec.files needs the version of the control plane',
      );
    }
    const found = { apiVersion: `${group}/${version}`, kind, plural, namespaced: true };
    kinds.set(crdName, found);
    return found;
  }
}

/** `v1beta1_v1beta2` -> `v1beta2`: generally available before beta before alpha, then the higher number. */
function newest(label: string): string | undefined {
  const rank = (version: string): number => {
    const [, major = '0', stage, minor = '0'] = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(version) ?? [];
    const stability = stage === undefined ? 2 : Number(stage === 'beta');
    return stability * 1e6 + Number(major) * 1e3 + Number(minor);
  };
  return label
    .split('_')
    .filter((version) => version !== '')
    .toSorted((a, b) => rank(b) - rank(a))[0];
}

/** Templates compare it with versions that begin with `v`. */
function withV(version: string | undefined): string | undefined {
  if (version === undefined || version === '') return undefined;
  return version.startsWith('v') ? version : `v${version}`;
}
