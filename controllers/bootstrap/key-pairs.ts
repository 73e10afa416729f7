// SPDX-License-Identifier: Apache-2.0
// Makes keys for new clusters in Node's thread pool, a few at a time: the pool also resolves names and reads files, and the
// main thread needs a core to itself.
import { generateKeyPair } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { promisify } from 'node:util';
import type { EncryptionAlgorithm } from '../../api/bootstrap/cluster-configuration.ts';
import type { GeneratedKey, GenerateKey } from '../../kubeadm/certificate-authority.ts';

/** Half of the threads that Node has by default. */
const MOST_AT_ONCE = 2;

/** How keys are made. */
export interface KeyGeneratorOptions {
  /** Keys that are made at the same time; default one less than there are cores, at least 1 and at most 2. */
  readonly concurrency?: number;
  /** Makes one key; default in the thread pool. */
  readonly generate?: GenerateKey;
}

/** Makes keys in the order in which they are asked for. A failure is told to who asked, and the next one follows. */
export function createKeyGenerator(options: KeyGeneratorOptions = {}): GenerateKey {
  const spareCores = Math.max(1, availableParallelism() - 1);
  const { concurrency = Math.min(MOST_AT_ONCE, spareCores), generate = generateInThreadPool } = options;
  const waiting: (() => void)[] = [];
  let free = concurrency;

  return async (algorithm) => {
    if (free > 0) free--;
    else await new Promise<void>((resolve) => void waiting.push(resolve));
    try {
      return await generate(algorithm);
    } finally {
      // The place goes to who waits longest, without being free in between.
      const next = waiting.shift();
      if (next === undefined) free++;
      else next();
    }
  };
}

const newRSA = promisify(generateKeyPair) as (
  type: 'rsa',
  options: { modulusLength: number },
) => Promise<GeneratedKey>;
const newEC = promisify(generateKeyPair) as (
  type: 'ec',
  options: { namedCurve: string },
) => Promise<GeneratedKey>;

function generateInThreadPool(algorithm: EncryptionAlgorithm): Promise<GeneratedKey> {
  switch (algorithm) {
    case 'RSA-2048':
      return newRSA('rsa', { modulusLength: 2048 });
    case 'RSA-3072':
      return newRSA('rsa', { modulusLength: 3072 });
    case 'RSA-4096':
      return newRSA('rsa', { modulusLength: 4096 });
    case 'ECDSA-P256':
      return newEC('ec', { namedCurve: 'P-256' });
    case 'ECDSA-P384':
      return newEC('ec', { namedCurve: 'P-384' });
  }
}
