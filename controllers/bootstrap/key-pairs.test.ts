// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import type { EncryptionAlgorithm } from '../../api/bootstrap/cluster-configuration.ts';
import type { GeneratedKey } from '../../kubeadm/certificate-authority.ts';
import { createKeyGenerator } from './key-pairs.ts';

const KEY: GeneratedKey = generateKeyPairSync('ec', { namedCurve: 'P-256' });

/** A generator whose keys are done when the test says so. */
function byHand() {
  const running: { algorithm: EncryptionAlgorithm; settle: PromiseWithResolvers<GeneratedKey> }[] = [];
  const generate = (algorithm: EncryptionAlgorithm) => {
    const settle = Promise.withResolvers<GeneratedKey>();
    running.push({ algorithm, settle });
    return settle.promise;
  };
  return { running, generate };
}

describe('createKeyGenerator', () => {
  it.each<[EncryptionAlgorithm, string, object]>([
    ['RSA-2048', 'rsa', { modulusLength: 2048 }],
    ['RSA-3072', 'rsa', { modulusLength: 3072 }],
    ['ECDSA-P256', 'ec', { namedCurve: 'prime256v1' }],
    ['ECDSA-P384', 'ec', { namedCurve: 'secp384r1' }],
  ])('makes %s', async (algorithm, type, details) => {
    const { privateKey, publicKey } = await createKeyGenerator()(algorithm);
    expect(privateKey.type).toBe('private');
    expect(publicKey.asymmetricKeyType).toBe(type);
    expect(publicKey.asymmetricKeyDetails).toMatchObject(details);
  });

  it('makes as many at once as it may, the others in the order in which they were asked for', async () => {
    const { running, generate } = byHand();
    const newKey = createKeyGenerator({ concurrency: 2, generate });
    const asked: EncryptionAlgorithm[] = ['RSA-2048', 'RSA-3072', 'ECDSA-P256', 'ECDSA-P384'];
    const keys = asked.map((algorithm) => newKey(algorithm));
    const algorithms = () => running.map(({ algorithm }) => algorithm);

    expect(algorithms()).toEqual(asked.slice(0, 2));
    running[1]!.settle.resolve(KEY);
    await keys[1];
    await expect.poll(algorithms).toEqual(asked.slice(0, 3));
    running[0]!.settle.resolve(KEY);
    running[2]!.settle.resolve(KEY);
    await keys[2];
    await expect.poll(algorithms).toEqual(asked);
    running[3]!.settle.resolve(KEY);
    expect(await Promise.all(keys)).toEqual([KEY, KEY, KEY, KEY]);
  });

  it('tells a failure to who asked, and goes on', async () => {
    const { running, generate } = byHand();
    const newKey = createKeyGenerator({ concurrency: 1, generate });
    const first = newKey('RSA-2048');
    const second = newKey('RSA-2048');
    running[0]!.settle.reject(new Error('no memory'));
    await expect(first).rejects.toThrow('no memory');
    await expect.poll(() => running.length).toBe(2);
    running[1]!.settle.resolve(KEY);
    expect(await second).toBe(KEY);
    const third = newKey('ECDSA-P256');
    await expect.poll(() => running.length).toBe(3);
    running[2]!.settle.resolve(KEY);
    expect(await third).toBe(KEY);
  });

  it('leaves the main thread free while a key is made', async () => {
    const key = createKeyGenerator()('RSA-3072');
    let turns = 0;
    let done = false;
    void key.finally(() => (done = true));
    while (!done) {
      await new Promise((resolve) => void setImmediate(resolve));
      turns++;
    }
    expect((await key).privateKey.asymmetricKeyType).toBe('rsa');
    expect(turns).toBeGreaterThan(10);
  });
});
