// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { cacheDir } from './build.ts';
import { installable, peerAWSDir } from './peer-aws.ts';
import { AWS_VERSIONS } from './versions.ts';

const TEXT = `apiVersion: v1
kind: ServiceAccount
metadata:
  name: manager
  annotations:
    \${ROLE/#arn/role: arn}
---
apiVersion: apps/v1
kind: Deployment
metadata: { name: manager }
---
apiVersion: v1
kind: Secret
metadata: { name: credentials }
---
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: awsmachines }
`;

describe('the peer', () => {
  it('is installed without what needs a node or a variable, definitions first', () => {
    const objects = installable(TEXT);
    expect(objects.map(({ kind }) => kind)).toEqual(['CustomResourceDefinition', 'ServiceAccount']);
    expect(objects[1]?.metadata).toEqual({ name: 'manager' });
  });

  it('lives in a folder of its own: neither is built again for the other', () => {
    const folder = peerAWSDir({ XDG_CACHE_HOME: '/cache' });
    expect(folder).toContain(AWS_VERSIONS.clusterAPIProviderAWS);
    expect(folder).not.toBe(cacheDir({ XDG_CACHE_HOME: '/cache' }));
  });
});
