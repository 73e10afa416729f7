// SPDX-License-Identifier: Apache-2.0
// The infrastructure objects of cluster-api-provider-aws, in the shape that the bench makes and reads.
import { INFRASTRUCTURE_GROUP } from '../../api/kinds.ts';
import { CLUSTER_NAME_LABEL } from '../../api/labels.ts';
import type { Kind, KubeObject } from '../../runtime/object.ts';
import { CLUSTER } from './objects.ts';
import type { World } from './world.ts';

export interface AWSMachine extends KubeObject {
  spec: { providerID?: string; [field: string]: unknown };
  status?: { ready?: boolean };
}

export const AWSClusterKind: Kind = {
  apiVersion: `${INFRASTRUCTURE_GROUP}/v1beta2`,
  kind: 'AWSCluster',
  plural: 'awsclusters',
  namespaced: true,
};

export const AWSMachineKind: Kind<AWSMachine> = {
  apiVersion: `${INFRASTRUCTURE_GROUP}/v1beta2`,
  kind: 'AWSMachine',
  plural: 'awsmachines',
  namespaced: true,
};

/** A network that exists already, and a load balancer in it. What moto cannot do is left out, each with its reason. */
export function awsClusterOf({ namespace, cloud }: World): KubeObject {
  const { network, region } = cloud;
  const spec = {
    region,
    // The credentials of the manager: its static test credentials.
    identityRef: { kind: 'AWSClusterControllerIdentity', name: 'default' },
    // '' is none; left out, it would be a key pair of its name.
    sshKeyName: '',
    network: {
      vpc: { id: network.vpcID },
      subnets: network.subnets.map(({ id }) => ({ id })),
      // Its default allows IP in IP too, protocol 4, at which moto fails with HTTP 500.
      cni: {
        cniIngressRules: [{ description: 'bgp (calico)', protocol: 'tcp', fromPort: 179, toPort: 179 }],
      },
    },
    controlPlaneLoadBalancer: {
      // Before it makes target groups for a network load balancer it asks for those that are there; moto says TargetGroupNotFound.
      loadBalancerType: 'classic',
      // The subnets are private.
      scheme: 'internal',
      // The name that moto gives it does not resolve.
      dnsResolutionCheck: 'None',
    },
  };
  return { ...typeOf(AWSClusterKind), metadata: metadataOf(namespace, CLUSTER), spec } as KubeObject;
}

/** A worker of the cluster; its bootstrap data go through Secrets Manager, or are user data in plain. */
export function awsMachineOf(name: string, { namespace, cloud }: World, secretsManager: boolean): AWSMachine {
  return {
    ...typeOf(AWSMachineKind),
    metadata: metadataOf(namespace, name),
    spec: {
      instanceType: 'm5.large',
      ami: { id: cloud.imageID },
      sshKeyName: '',
      cloudInit: { insecureSkipSecretsManager: !secretsManager },
    },
  };
}

function metadataOf(namespace: string, name: string) {
  return { namespace, name, labels: { [CLUSTER_NAME_LABEL]: CLUSTER } };
}

function typeOf({ apiVersion, kind }: { apiVersion: string; kind: string }) {
  return { apiVersion, kind };
}
