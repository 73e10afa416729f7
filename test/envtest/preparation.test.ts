// SPDX-License-Identifier: Apache-2.0
// Plain hosts: a real API server, our manager, and simulated hosts with real SSH servers on which nothing was installed.
import { afterAll, beforeAll, beforeEach, describe, it, onTestFailed } from 'vitest';
import { SecretKind } from '../../api/kinds.ts';
import type { Provider } from '../../hack/stack/provider.ts';
import { type Environment, startEnvironment } from './harness.ts';
import { becomes, type HostStories, type HostStory, hostStories } from './host-story.ts';
import { conditionText } from './machines.ts';
import { bundleManager } from './manager-bundle.ts';

const PASSWORD = 'canary-7f1c-pull-password';

let environment: Environment;
let provider: Provider;
let stories: HostStories;

beforeAll(async () => {
  environment = await startEnvironment({ managers: [], controllerManager: false });
  stories = hostStories(environment);
  const main = await bundleManager(environment.dir);
  provider = await environment.startProvider({ main, flags: ['--log-level=debug'] });
});

afterAll(async () => {
  await stories?.close();
  await environment?.stop();
});

beforeEach(() => onTestFailed(() => console.log(provider.server.tail(30))));

const kinds = (story: HostStory, index: number): string[] =>
  story.jobs(index).map((id) => id.slice(0, id.indexOf('-')));

describe.concurrent('plain hosts', () => {
  it('are prepared, become Nodes, are given back and are prepared for the next machine', async ({
    expect,
  }) => {
    const story = await stories.begin({ purpose: 'plain', count: 3, plain: true });
    const { site } = story;
    const names = ['m1', 'm2', 'm3'];
    const { kubernetes } = environment.stack.versions;
    for (const round of [1, 2]) {
      for (const name of names) await site.addMachine(`${name}-${round}`, { preparation: {} });
      for (const name of names) await story.provisioned(`${name}-${round}`);
      for (const host of await site.hosts()) {
        expect(host.status?.preparation).toMatchObject({ version: kubernetes });
        expect(conditionText(host, 'Prepared')).toBe(`True Prepared: For Kubernetes ${kubernetes}`);
      }
      for (const name of names) await site.deleteMachine(`${name}-${round}`);
      for (const name of names) await story.gone(`${name}-${round}`);
      for (const index of names.keys()) await story.until(index, 'Available');
    }
    for (const index of names.keys()) {
      const each = ['prepare', 'bootstrap', 'clean'];
      expect(kinds(story, index)).toEqual([...each, ...each]);
      expect((await site.host(story.at(index).name)).status).not.toHaveProperty('preparation');
    }
    expect(story.violations()).toEqual([]);
  });

  it('that cannot be prepared say why on the machine, stay out of the pool, and are cleaned with it', async ({
    expect,
  }) => {
    const log = `kubelet: expected 1234, got 4321, said ${PASSWORD}`;
    const prepareFailure = { stage: 'kubernetes', exitCode: 73, log };
    const story = await stories.begin({ purpose: 'broken', plain: true, plan: { all: { prepareFailure } } });
    const { site } = story;
    await site.addMachine('m1', {
      preparation: {
        registries: [
          {
            name: 'registry.k8s.io',
            mirrors: [{ endpoint: 'https://mirror:5000', authRef: { name: 'pull' } }],
          },
        ],
      },
    });
    await becomes(
      'm1 ready',
      () => story.machineReady('m1'),
      /^False PreparationCredentialsMissing: Host host-000: Claimed; Secret .*\/pull, which .* does not exist/,
    );
    await environment.client.create(SecretKind, {
      ...{ apiVersion: 'v1', kind: 'Secret', metadata: { namespace: site.namespace, name: 'pull' } },
      data: { username: 'cHVsbGVy', password: Buffer.from(PASSWORD).toString('base64') },
    });
    await becomes('m1 ready', () => story.machineReady('m1'), /^False ChecksumMismatch: /);
    expect(await story.machineReady('m1')).toMatch(
      /^False ChecksumMismatch: Host host-000: Preparing, step kubernetes; Stage kubernetes failed with exit code 73: kubelet: expected 1234, got 4321, said \*\*\*; /,
    );
    expect(await story.stateOf(0)).toBe('Preparing');
    await story.told('TSHost', 'host-000', ['ChecksumMismatch', 'PreparationCredentialsMissing']);
    expect(JSON.stringify([await site.host('host-000'), await site.machine('m1')])).not.toContain(PASSWORD);
    expect(provider.server.tail(10_000)).not.toContain(PASSWORD);
    await site.deleteMachine('m1');
    await story.gone('m1');
    await story.until(0, 'Available');
    expect(kinds(story, 0)).toEqual(['prepare', 'clean']);
    expect(story.violations()).toEqual([]);
  });

  it('that reboot in the middle go on, and one job at a time', async ({ expect }) => {
    const story = await stories.begin({
      ...{ purpose: 'reboot', plain: true },
      plan: { all: { prepareMs: [3_000, 3_000] } },
    });
    await story.site.addMachine('m1', { preparation: {} });
    await story.until(0, 'Preparing');
    await becomes('a job that runs', () => story.jobs(0).length, 1);
    story.at(0).host.reboot();
    await story.provisioned('m1');
    expect(kinds(story, 0)).toEqual(['prepare', 'bootstrap']);
    expect(story.violations()).toEqual([]);
  });
});
