// SPDX-License-Identifier: Apache-2.0
// Everything that needs a network or much time, made once and kept in the user's cache: after that hosts start in seconds.
import { rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Stack, stack as provideStack } from '../stack/build.ts';
import { buildHostSoftware, hostSoftwareDir } from '../stack/host-software.ts';
import { fillContainerStore } from './container-store.ts';
import { imageContents, kubeadmImages, pauseImage } from './images.ts';
import { debianRoot, hashOf, kubernetesLayer, once, textOf } from './rootfs.ts';

export interface HostParts {
  readonly stack: Stack;
  /** Folder of the Debian root, which no host writes to. */
  readonly debian: string;
  /** Folder that is laid over it on hosts with Kubernetes' packages. */
  readonly kubernetes: string;
  /** Folder of a /var/lib/containerd with all images. */
  readonly containers: string;
}

/** Folder of everything that hosts are made of, and of running worlds: they share files, so it is one file system. */
export function hostsCache(): string {
  return join(dirname(hostSoftwareDir()), 'hosts');
}

const PROGRAMS = join(import.meta.dirname, 'programs');

/** Makes what is missing, about ten minutes the first time and nothing after it. `say` gets one line per thing that takes time. */
export async function prepareHosts(say: (line: string) => void): Promise<HostParts> {
  const stack = await provideStack(say);
  const software = await buildHostSoftware(say);
  const names = await kubeadmImages(stack.binaries.kubeadm, stack.versions.kubernetes);
  const cache = hostsCache();
  const debian = await debianRoot(cache, say);
  const kubernetes = await kubernetesLayer(cache, { stack, software, pause: pauseImage(names) }, say);
  const recipe = [debian, ...names, ...Object.values(software.binaries), textOf(PROGRAMS)];
  const build = async (root: string) => {
    say('making the container images');
    const dir = `${root}.programs`;
    try {
      const programs = { ...stack.binaries, ...software.binaries };
      const images = await imageContents({ programs, debian, names, dir });
      await fillContainerStore({ root, images, software });
    } finally {
      rmSync(dir, { recursive: true, force: true });
    }
  };
  const containers = await once({ dir: join(cache, `containers-${hashOf(recipe)}`), build, say });
  return { stack, debian, kubernetes, containers };
}
