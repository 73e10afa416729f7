// SPDX-License-Identifier: Apache-2.0
// Flags that commands of artifacts share, checked.
import { readFileSync } from 'node:fs';
import { UsageError } from '../manifests.ts';
import type { RegistryLogin } from './registry.ts';
import {
  type Architecture,
  ARCHITECTURES,
  type Component,
  COMPONENTS,
  CONTAINER_RUNTIMES,
  type ContainerRuntimeName,
  type NodeSelection,
} from './upstream.ts';

/** For `parseArgs`. */
export const SELECTION_OPTIONS = {
  'kubernetes-version': { type: 'string' },
  architecture: { type: 'string', default: 'amd64' },
  'container-runtime': { type: 'string', default: 'containerd' },
  with: { type: 'string', multiple: true, default: [] as string[] },
  without: { type: 'string', multiple: true, default: [] as string[] },
} as const;

/** For the help of commands with {@link SELECTION_OPTIONS}. */
export const SELECTION_HELP = `  --kubernetes-version V       such as v1.36.3
  --architecture A             ${ARCHITECTURES.join(' or ')}; default: amd64
  --container-runtime NAME     ${CONTAINER_RUNTIMES.join(' or ')}; default: containerd
  --with NAME=VERSION          another version of ${COMPONENTS.join(', ')}; may be repeated
  --without NAME               none of it: the operating system brings it; may be repeated
`;

interface SelectionValues {
  readonly 'kubernetes-version'?: string | undefined;
  readonly architecture: string;
  readonly 'container-runtime': string;
  readonly with: readonly string[];
  readonly without: readonly string[];
}

/** Throws UsageError. */
export function selectionOf(values: SelectionValues): NodeSelection {
  const version = values['kubernetes-version'];
  if (version === undefined)
    throw new UsageError('say for which Kubernetes with --kubernetes-version v1.36.3');
  return {
    kubernetesVersion: version.startsWith('v') ? version : `v${version}`,
    architecture: oneOf<Architecture>('--architecture', values.architecture, ARCHITECTURES),
    containerRuntime: oneOf<ContainerRuntimeName>(
      '--container-runtime',
      values['container-runtime'],
      CONTAINER_RUNTIMES,
    ),
    components: {
      ...Object.fromEntries(values.with.map(withVersion)),
      ...Object.fromEntries(values.without.map((name) => [oneOf('--without', name, COMPONENTS), false])),
    },
  };
}

function withVersion(word: string): [Component, string] {
  const [, name = '', version = ''] = /^([^=]*)=v?([0-9][A-Za-z0-9.+-]*)$/.exec(word) ?? [];
  if (name === '') throw new UsageError(`--with ${word}: write it like --with containerd=2.3.7`);
  return [oneOf('--with', name, COMPONENTS), version];
}

/** One of the words. Throws UsageError that lists them. */
export function oneOf<Word extends string>(flag: string, text: string, words: readonly Word[]): Word {
  const found = words.find((word) => word === text);
  if (found === undefined) throw new UsageError(`${flag} ${text}: it is one of ${words.join(', ')}`);
  return found;
}

/** The value of a flag that must be given. Throws UsageError. */
export function required(flag: string, value: string | undefined, what: string): string {
  if (value === undefined || value === '') throw new UsageError(`give ${what} with ${flag}`);
  return value;
}

/** Throws UsageError. */
export function readText(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new UsageError(`${path} cannot be read: ${error instanceof Error ? error.message : String(error)}`);
  }
}

/** A login from flags; the password is in a file, since others see the arguments of a process. Throws UsageError. */
export function loginOf(
  username: string | undefined,
  passwordFile: string | undefined,
): RegistryLogin | undefined {
  if (username === undefined && passwordFile === undefined) return undefined;
  if (username === undefined || passwordFile === undefined) {
    throw new UsageError('--username and --password-file belong together');
  }
  return { username, password: readText(passwordFile).replace(/\r?\n$/, '') };
}
