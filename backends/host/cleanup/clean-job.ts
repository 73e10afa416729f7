// SPDX-License-Identifier: Apache-2.0
import type { HostOwner } from '../../host-driver.ts';
import { REMOVE_HAPROXY } from '../haproxy/removal.ts';
import type { Job, Step } from '../job/job.ts';
import { REMOVE_KEEPALIVED, STOP_KEEPALIVED } from '../keepalived/removal.ts';
import { fenceScript } from './fence.ts';
import { FILES_SCRIPT, MOUNTS_SCRIPT } from './files.ts';
import { MANIFEST_SCRIPT } from './manifest.ts';
import { NETWORK_SCRIPT } from './network.ts';
import { PREPARATION_SCRIPT } from './preparation.ts';
import { RULES_SCRIPT } from './rules.ts';
import { CONTAINERS_SCRIPT, RESET_SCRIPT } from './runtime.ts';

/** A host with hundreds of pods takes minutes; one that takes longer hangs. */
const TIMEOUT_SECONDS = 15 * 60;

/**
 * The job that ends and removes everything of a cluster and of ours, from nothing but what it finds. The fence comes first, and nothing is
 * removed from under what still runs; any other step that fails leaves the rest to be done, and what stays is found by the next probe.
 * Every step may run again, changes nothing on a clean host, and leaves alone what is not of Kubernetes or ours. With an owner, a host
 * that names another one refuses it.
 */
export function cleanJob(id: string, owner?: HostOwner): Job {
  return {
    id,
    ...(owner && { onlyOf: owner }),
    steps: [
      step('virtual-ip', STOP_KEEPALIVED),
      { ...step('fence', fenceScript(id)), onFailure: 'stop' },
      step('haproxy', REMOVE_HAPROXY),
      step('keepalived', REMOVE_KEEPALIVED),
      step('kubeadm-reset', RESET_SCRIPT),
      step('containers', CONTAINERS_SCRIPT),
      step('rules', RULES_SCRIPT),
      step('network', NETWORK_SCRIPT),
      step('mounts', MOUNTS_SCRIPT),
      step('files', FILES_SCRIPT),
      step('manifest', MANIFEST_SCRIPT),
      step('preparation', PREPARATION_SCRIPT),
    ],
    timeoutSeconds: TIMEOUT_SECONDS,
    secrets: [],
  };
}

function step(id: string, script: string): Step {
  return { id, stage: id.replace('-', '_'), script, repeatable: true, onFailure: 'continue' };
}
