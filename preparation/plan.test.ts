// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { describe, expect, it } from 'vitest';
import type { HostPreparation } from '../api/preparation.ts';
import { prepare, PreparationError } from './plan.ts';
import { cloudConfigPart, installedRemoval, planScript, stepScript } from './script.ts';
import { inputOf as input } from './steps/input.fixtures.ts';

const ARTIFACTS: HostPreparation = { source: { artifacts: { baseURL: 'http://artifacts.example.org/' } } };

const ids = (spec: HostPreparation): string[] => prepare(input(spec)).steps.map(({ id }) => id);

describe('a preparation', () => {
  it('takes its steps in an order in which each finds what it needs', () => {
    expect(ids({})).toEqual([
      ...['preflight', 'proxy', 'repositories', 'swap', 'modules', 'sysctl', 'journald', 'packages', 'time'],
      ...['runtime', 'cni_plugins', 'kubernetes', 'runtime_config', 'registries', 'runtime_service'],
      ...['kubelet_unit', 'images', 'complete'],
    ]);
    expect(ids(ARTIFACTS)).toEqual(ids({}).map((id) => (id === 'repositories' ? 'artifacts_manifest' : id)));
  });

  it('names no server but that of the artifacts where there is one', () => {
    const { steps } = prepare(input(ARTIFACTS));
    const servers = steps.flatMap(
      ({ check, apply }) => `${check}${apply}`.match(/https?:\/\/[^/'"\s]+/g) ?? [],
    );
    // The last two are in units, for people.
    expect([...new Set(servers)].sort()).toEqual([
      'http://artifacts.example.org',
      'https://containerd.io',
      'https://kubernetes.io',
    ]);
  });

  it('has a hash that is the same for the same, and another for anything else', () => {
    const one = prepare(input(ARTIFACTS)).hash;
    expect(one).toMatch(/^[0-9a-f]{16}$/);
    expect(prepare(input(structuredClone(ARTIFACTS))).hash).toBe(one);
    const others = [
      prepare(input(ARTIFACTS, { kubernetesVersion: 'v1.36.4' })),
      prepare(input(ARTIFACTS, { packages: ['keepalived'] })),
      prepare(input({})),
      prepare(input({ ...ARTIFACTS, containerRuntime: { version: '2.2' } })),
      prepare(input({ ...ARTIFACTS, journalMaxUse: '2G' })),
    ].map(({ hash }) => hash);
    expect(new Set([one, ...others]).size).toBe(others.length + 1);
  });

  it('names what may not be shown', () => {
    const secrets = { registries: { 'https://r.example.org': { username: 'u', password: 'p%1' } } };
    expect(prepare(input({}, { secrets })).secrets).toEqual(['p%1', 'p%251', 'dTpwJTE=']);
  });

  it.each([
    { rest: { kubernetesVersion: '1.36' }, path: 'kubernetesVersion' },
    { rest: { packages: ['keepalived', 'x; reboot'] }, path: 'packages[1]' },
    { spec: { source: { packages: {}, artifacts: { baseURL: 'http://x' } } }, path: 'source' },
    { spec: { source: { artifacts: { baseURL: 'https://u:p@x' } } }, path: 'source.artifacts.baseURL' },
    {
      spec: { source: { packages: { kubernetes: { baseURL: 'https://u:p@x/y' } } } },
      path: 'source.packages.kubernetes.baseURL',
    },
    { spec: { containerRuntime: { version: '1.7.27' } }, path: 'containerRuntime.version' },
    {
      spec: { containerRuntime: { type: 'crio' as const, version: '1' } },
      path: 'containerRuntime.version',
    },
  ])('that cannot be done says which field is wrong: $path', ({ spec, rest, path }) => {
    const wrong = expect(() => prepare(input(spec ?? {}, rest)));
    wrong.toThrow(PreparationError);
    wrong.toThrow(`${path}: `);
  });
});

describe('its scripts', () => {
  const variants: Readonly<Record<string, HostPreparation>> = {
    packages: {},
    artifacts: ARTIFACTS,
    'CRI-O from packages': { containerRuntime: { type: 'crio' } },
    'CRI-O from artifacts': { ...ARTIFACTS, containerRuntime: { type: 'crio' } },
  };
  const shells = [['dash'], ['bash', '--posix'], ['busybox', 'sh']].filter(([shell]) => isHere(shell!));

  it.each(Object.keys(variants))('are read by every shell that is here: %s', (name) => {
    const plan = prepare(input(variants[name]));
    for (const [shell, ...words] of shells) {
      for (const script of [planScript(plan), installedRemoval, stepScript(plan.steps[0]!, plan.hash)]) {
        execFileSync(shell!, [...words, '-n'], { input: script });
      }
    }
    expect(shells.length).toBeGreaterThan(0);
  });

  it('do nothing when they were cut off on their way', () => {
    const script = planScript(prepare(input({})));
    for (const part of [0.3, 0.7, 0.999]) {
      const cut = script.slice(0, Math.floor(script.length * part));
      expect(() => execFileSync('sh', [], { input: cut, stdio: ['pipe', 'ignore', 'ignore'] })).toThrow();
    }
  });

  it('can be a part of a cloud-config, which runs the same before anything behind it and leaves no secret', () => {
    const plan = prepare(input({}));
    const part = cloudConfigPart(plan);
    expect(part.write_files).toHaveLength(1);
    const [file] = part.write_files;
    expect(Buffer.from(file!.content, 'base64').toString()).toBe(planScript(plan));
    expect(file).toMatchObject({ permissions: '0600', encoding: 'b64' });
    expect(part.runcmd).toEqual([
      ['/bin/sh', file!.path],
      ['rm', '-f', file!.path],
    ]);
  });
});

function isHere(shell: string): boolean {
  try {
    execFileSync('sh', ['-c', `command -v ${shell}`], { stdio: 'ignore' });
    return true;
  } catch {
    console.warn(`skipped: ${shell} is not here`);
    return false;
  }
}
