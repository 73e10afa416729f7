// SPDX-License-Identifier: Apache-2.0
// What stories of whole clusters on AWS begin with: a management cluster, a region, and a manager that takes it for AWS.
import { type Moto, startMoto } from '../../hack/stack/moto.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import type { Behaviour } from '../aws/proxy/behaviour.ts';
import { IMAGE, PROFILES, type Region, startRegion } from './aws-region.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { bundleManager } from './manager-bundle.ts';

export interface StoryWorld {
  readonly environment: Environment;
  readonly region: Region;
  readonly provider: Provider;
  stop(): Promise<void>;
}

/** The audit log is `audit.log` in the environment's directory. What was started is stopped again when it rejects. */
export async function startStoryWorld(behaviour: Partial<Behaviour> = {}): Promise<StoryWorld> {
  const environment = await startEnvironment({ auditLog: 'audit.log' });
  let moto: Moto | undefined;
  let region: Region | undefined;
  const stop = async () => {
    await environment.stop();
    await region?.stop();
    await moto?.stop();
  };
  try {
    moto = await startMoto({ dir: environment.dir });
    region = await startRegion({ moto, kubernetes: environment.stack.versions.kubernetes });
    Object.assign(region.proxy.options, behaviour);
    const main = await bundleManager(environment.dir);
    const provider = await environment.startProvider({ main, env: region.env });
    return { environment, region, provider, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Variables of the templates that every cluster in the region has; `identity` is the name of a TSClusterIdentity. */
export function clusterVariables(region: Region, identity: string): Record<string, string> {
  return {
    AWS_REGION: region.name,
    AWS_IDENTITY: identity,
    AWS_IMAGE_OWNER: IMAGE.owner,
    AWS_IMAGE_NAME: IMAGE.name,
    AWS_CONTROL_PLANE_INSTANCE_PROFILE: PROFILES.controlPlane,
    AWS_NODE_INSTANCE_PROFILE: PROFILES.node,
    AWS_CONTROL_PLANE_MACHINE_TYPE: 'm5.large',
  };
}
