// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { PreparationInput } from '../../../preparation/input.ts';
import { planOf } from '../job/job.ts';
import { prepareJob, preparationHash } from './prepare-job.ts';

const OWNER = { token: '0a1b2c3d', generation: 1 };

const INPUT: PreparationInput = {
  kubernetesVersion: 'v1.36.3',
  spec: {
    registries: [
      { name: 'registry.k8s.io', mirrors: [{ endpoint: 'https://mirror:5000', authRef: { name: 's' } }] },
    ],
  },
  secrets: { registries: { 'https://mirror:5000': { username: 'puller', password: 'a long password' } } },
  packages: [],
  network: { podCIDRs: [], serviceCIDRs: [], serviceDomain: 'cluster.local' },
  mustServe: [10250],
};

const job = (only?: readonly string[], input = INPUT) =>
  prepareJob({ id: 'prepare-1-1-01234567', owner: OWNER, preparation: input, ...(only && { only }) });

describe('the job of a preparation', () => {
  it('works alone, stops with the first step that fails, and takes each again after an interruption', () => {
    const { steps, alone, owner, timeoutSeconds } = job();
    expect({ alone, owner }).toEqual({ alone: true, owner: OWNER });
    expect(steps.length).toBeGreaterThan(10);
    expect(steps.every(({ repeatable, onFailure }) => repeatable && onFailure === 'stop')).toBe(true);
    expect(timeoutSeconds).toBe(steps.reduce((sum, step) => sum + (step.timeoutSeconds ?? 0), 0));
    expect(planOf(steps).split('\n')[0]).toMatch(/^001 preflight preflight yes stop [0-9a-f]{64} \d+$/);
    expect(steps.at(-1)?.id).toBe('complete');
  });

  it('hides every password from what is told', () => {
    const { secrets } = job();
    expect(secrets).toContain('a long password');
    expect(secrets.join(' ')).toContain(Buffer.from('puller:a long password').toString('base64'));
  });

  it('takes the steps of a repair only, and writes down that all is there', () => {
    expect(job(['registries', 'nobody_knows']).steps.map(({ id }) => id)).toEqual(['registries', 'complete']);
  });

  it('is the same for the same input, and another one for another version or password', () => {
    const other = {
      registries: { 'https://mirror:5000': { username: 'puller', password: 'another password' } },
    };
    const hashes = [
      INPUT,
      structuredClone(INPUT),
      { ...INPUT, kubernetesVersion: 'v1.36.4' },
      { ...INPUT, secrets: other },
    ].map(preparationHash);
    expect(hashes[0]).toMatch(/^[0-9a-f]{16}$/);
    expect(hashes[1]).toBe(hashes[0]);
    expect(new Set(hashes).size).toBe(3);
  });

  it('is refused with the field that nobody can follow', () => {
    const input = { ...INPUT, spec: { sysctls: { 'a..b': '1' } } };
    expect(() => preparationHash(input)).toThrow(
      expect.objectContaining({
        reason: 'PreparationInvalid',
        message: 'The host cannot be prepared like this: sysctls[a..b]: is not the name of a kernel setting',
      }) as Error,
    );
  });
});
