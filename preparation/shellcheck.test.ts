// SPDX-License-Identifier: Apache-2.0
// Every script that a preparation can become is looked at by shellcheck, and read by each shell that is here.
import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { HostPreparation } from '../api/preparation.ts';
import type { PreparationInput } from './input.ts';
import { prepare } from './plan.ts';
import { planScript, stepScript } from './script.ts';
import { CONTROL_PLANE_PORTS, inputOf } from './steps/input.fixtures.ts';

/** Warnings that are not about a mistake, each with the reason. */
const EXCLUDED = [
  'SC1007', // Several variables are emptied in one line.
  'SC2034', // Every script has the whole library, and uses a part of it.
  'SC2154', // The same: what a function of the library reads is set by the steps that call it.
  'SC2283', // `tr = -` has an equals sign as its argument.
].join(',');

const NASTY = `it's "$HOME" \`id\` $(id) \\ \nEND_OF_DATA\n`;
const EVERYTHING: HostPreparation = {
  containerRuntime: {
    version: '2.2',
    cgroupDriver: 'cgroupfs',
    sandboxImage: 'a.example/pause:1',
    additionalConfig: NASTY,
  },
  registries: [
    { name: '*', mirrors: [{ endpoint: 'https://a.example', authRef: { name: 'a' }, caBundle: NASTY }] },
    {
      name: 'b.example:5000',
      fallback: true,
      mirrors: [{ endpoint: 'http://c.example/v2/x', overridePath: true }],
    },
  ],
  proxy: {
    http: 'http://p.example:3128',
    https: 'http://p.example:3128',
    noProxy: ['.d.example'],
    credentialsRef: { name: 'p' },
  },
  timeServers: ['t.example'],
  journalMaxUse: '500M',
  sysctls: { 'vm.max_map_count': '262144' },
  ignorePreflight: ['Ports', 'Disk'],
};
const ARTIFACTS = {
  artifacts: { baseURL: 'https://a.example/x', caBundle: NASTY, manifestSHA256: '0'.repeat(64) },
};
const PACKAGES = {
  packages: {
    kubernetes: { baseURL: 'https://p.example/k', key: NASTY },
    containerRuntime: { baseURL: 'https://p.example/c', key: NASTY },
  },
};
const CRIO = { type: 'crio' as const };

const INPUTS: Record<string, PreparationInput> = {
  nothing: inputOf({}),
  'crio of artifacts': inputOf({ containerRuntime: CRIO, source: ARTIFACTS }),
  everything: full({ ...EVERYTHING, source: PACKAGES }),
  'everything of artifacts': full({ ...EVERYTHING, source: ARTIFACTS }),
  'everything of crio': full({
    ...EVERYTHING,
    containerRuntime: { ...EVERYTHING.containerRuntime, ...CRIO },
    registries: [{ ...EVERYTHING.registries![0]!, name: 'a.example' }],
  }),
};

function full(spec: HostPreparation): PreparationInput {
  const login = { username: 'user', password: `p'"$HOME\`id\`$(id)\\` };
  return inputOf(spec, {
    secrets: { registries: { 'https://a.example': login }, proxy: login },
    packages: ['keepalived'],
    mustServe: CONTROL_PLANE_PORTS,
  });
}

const SHELLS = ['dash', 'bash --posix', 'busybox ash'];

const isHere = (program: string): boolean => spawnSync('sh', ['-c', `command -v ${program}`]).status === 0;
const noShellcheck = !isHere('shellcheck');
if (noShellcheck)
  console.log('Scripts are not looked at by shellcheck: it is not installed (Debian: shellcheck).');

describe('the scripts of a preparation', { timeout: 120_000 }, () => {
  let folder: string;
  const scripts: string[] = [];

  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'preparation-scripts-'));
    for (const [name, input] of Object.entries(INPUTS)) {
      const path = join(folder, `${name.replaceAll(' ', '-')}.sh`);
      writeFileSync(path, planScript(prepare(input)));
      scripts.push(path);
    }
    // The frame of a step that runs alone.
    const { steps, hash } = prepare(INPUTS['everything']!);
    writeFileSync(join(folder, 'step.sh'), stepScript(steps[0]!, hash));
    scripts.push(join(folder, 'step.sh'));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it.skipIf(noShellcheck)('shellcheck finds nothing in them', () => {
    const { stdout, stderr } = spawnSync(
      'shellcheck',
      ['--shell=sh', '--severity=warning', `--exclude=${EXCLUDED}`, '--format=gcc', ...scripts],
      { encoding: 'utf8' },
    );
    expect(stderr + stdout).toBe('');
  });

  it.skipIf(noShellcheck)('shellcheck would find something', () => {
    const path = join(folder, 'wrong');
    writeFileSync(path, '#!/bin/sh\nif [[ $1 == x ]]; then cd /nowhere; fi\n');
    expect(spawnSync('shellcheck', ['--shell=sh', '--severity=warning', path]).status).toBe(1);
  });

  it.each(SHELLS)('%s reads them', (shell) => {
    const [program = '', ...args] = shell.split(' ');
    if (!isHere(program)) {
      console.log(`Scripts are not read by ${program}: it is not installed.`);
      return;
    }
    for (const path of scripts) execFileSync(program, [...args, '-n', path]);
  });
});
