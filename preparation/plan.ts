// SPDX-License-Identifier: Apache-2.0
// What is done to a plain machine, and in which order.
import { Buffer } from 'node:buffer';
import { createHash } from 'node:crypto';
import type { HostPreparation } from '../api/preparation.ts';
import type { PreparationInput } from './input.ts';
import { parseVersion } from './kubernetes-version.ts';
import { PreparationError } from './preparation-error.ts';
import type { PreparationStep } from './step.ts';
import { artifactsSteps } from './steps/artifacts.ts';
import { completeSteps } from './steps/complete.ts';
import { imagesSteps } from './steps/images.ts';
import { kubeletUnitSteps, kubernetesSteps } from './steps/kubernetes.ts';
import { packagesSteps } from './steps/packages.ts';
import { preflightSteps } from './steps/preflight.ts';
import { percentEncoded, proxySteps } from './steps/proxy.ts';
import { registriesSteps } from './steps/registries.ts';
import { repositoriesSteps } from './steps/repositories.ts';
import { runtimeConfigSteps } from './steps/runtime-config.ts';
import { runtimeServiceSteps } from './steps/runtime-service.ts';
import { runtimeSteps } from './steps/runtime.ts';
import { systemSteps } from './steps/system.ts';
import { timeSteps } from './steps/time.ts';

export { PreparationError } from './preparation-error.ts';

/** All that makes a machine ready for kubeadm. */
export interface Preparation {
  /** In the order in which they are taken. */
  readonly steps: readonly PreparationStep[];
  /** Words that may not be shown. */
  readonly secrets: readonly string[];
  /** 16 hex digits: two preparations with the same do the same. */
  readonly hash: string;
}

/** Steps of one subject. */
type Steps = (input: PreparationInput) => PreparationStep[];

const ORDER: readonly Steps[] = [
  // A source that cannot be reached is told before anything else is changed.
  ...[preflightSteps, proxySteps, repositoriesSteps, artifactsSteps],
  ...[systemSteps, packagesSteps, timeSteps],
  ...[runtimeSteps, kubernetesSteps],
  ...[runtimeConfigSteps, registriesSteps, runtimeServiceSteps],
  ...[kubeletUnitSteps, imagesSteps, completeSteps],
];

/** Throws {@link PreparationError} for what cannot be done, whatever the machine is like. */
export function prepare(input: PreparationInput): Preparation {
  refuseBadInput(input);
  const steps = ORDER.flatMap((stepsOf) => stepsOf(input));
  return { steps, secrets: secretsOf(input), hash: hashOf(input, steps) };
}

function refuseBadInput({ kubernetesVersion, spec }: PreparationInput): void {
  parseVersion(kubernetesVersion);
  const source = spec.source;
  if (source && (source.packages === undefined) === (source.artifacts === undefined)) {
    throw new PreparationError('source', 'set exactly one of packages and artifacts');
  }
  refuseCredentials(source ?? {});
}

/** Lists of repositories are for everybody on the machine to read, and so are the arguments of what fetches a file. */
function refuseCredentials({ artifacts, packages }: NonNullable<HostPreparation['source']>): void {
  const urls = {
    'artifacts.baseURL': artifacts?.baseURL,
    'packages.kubernetes.baseURL': packages?.kubernetes?.baseURL,
    'packages.containerRuntime.baseURL': packages?.containerRuntime?.baseURL,
  };
  for (const [field, url = ''] of Object.entries(urls)) {
    if (/^https?:\/\/[^/?#]*@/.test(url))
      throw new PreparationError(`source.${field}`, 'has credentials, which others would see on the host');
  }
}

function secretsOf({ secrets }: PreparationInput): string[] {
  const logins = [...Object.values(secrets.registries), ...(secrets.proxy ? [secrets.proxy] : [])];
  const words = logins.flatMap(({ username, password }) => [
    password,
    percentEncoded(password),
    Buffer.from(`${username}:${password}`).toString('base64'),
  ]);
  return [...new Set(words)].filter((word) => word !== '');
}

function hashOf({ kubernetesVersion }: PreparationInput, steps: readonly PreparationStep[]): string {
  const content = JSON.stringify([
    kubernetesVersion,
    steps.map(({ id, check, apply }) => [id, check, apply]),
  ]);
  return createHash('sha256').update(content).digest('hex').slice(0, 16);
}
