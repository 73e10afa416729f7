// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { parseAllDocuments } from 'yaml';
import type { Secret } from '../../api/cluster-api.ts';
import type { TSHost } from '../../api/tshost.ts';
import { UsageError } from '../manifests.ts';
import type { EndpointEntry, HostEntry } from './entry.ts';
import { hostsFromCsv } from './from-csv.ts';
import { hostsFromTerraform } from './from-terraform.ts';
import { importCommand } from './import.ts';

const HOST_KEY = 'ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIexampleexampleexampleexampleexampleexample';

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'import-'));
  write('id', 'PRIVATE KEY ONE\n');
  write('id2', 'PRIVATE KEY TWO\n');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

function write(name: string, text: string): string {
  const path = join(folder, name);
  writeFileSync(path, text, { mode: 0o600 });
  return path;
}

interface Ran {
  readonly said: string[];
  readonly scanned: (HostEntry | EndpointEntry)[];
  readonly objects: (Secret | TSHost)[];
}

async function run(args: string[], answer: boolean | undefined = undefined): Promise<Ran> {
  const said: string[] = [];
  const scanned: (HostEntry | EndpointEntry)[] = [];
  const text = await importCommand(args, {
    scan: (end) => {
      scanned.push(end);
      return Promise.resolve(HOST_KEY);
    },
    fingerprint: () => 'SHA256:abc',
    say: (line) => said.push(line),
    ask: () => Promise.resolve(answer),
  });
  const objects = parseAllDocuments(text).map((document) => document.toJS() as Secret | TSHost);
  return { said, scanned, objects };
}

describe('hosts import', () => {
  const csv = () =>
    write(
      'hosts.csv',
      `# our racks\nname,address,user,key,labels,failure_domain,bastion_address,bastion_key\n` +
        `rack-a-1,10.0.0.1,,${join(folder, 'id')},role=control-plane,rack-a,,\n` +
        `,10.0.0.2,operator,${join(folder, 'id')},role=worker;disk=ssd,,192.0.2.1,${join(folder, 'id2')}\n` +
        `,10.0.0.3,operator,${join(folder, 'id')},,,192.0.2.1,${join(folder, 'id2')}\n`,
    );

  it('makes a TSHost for each line and a Secret for each key, with the keys that the hosts show', async () => {
    const { objects, said, scanned } = await run(['-f', csv(), '--yes', '--namespace', 'pool']);
    const secrets = objects.filter((object) => object.kind === 'Secret') as Secret[];
    const hosts = objects.filter((object) => object.kind === 'TSHost') as TSHost[];
    expect(secrets).toHaveLength(2);
    expect(secrets.map(({ metadata }) => metadata.labels)).toEqual([
      { 'clusterctl.cluster.x-k8s.io/move': '' },
      { 'clusterctl.cluster.x-k8s.io/move': '' },
    ]);
    expect(hosts.map(({ metadata }) => metadata.name)).toEqual(['rack-a-1', '10-0-0-2', '10-0-0-3']);
    expect(hosts[0]!.spec).toEqual({
      ssh: {
        address: '10.0.0.1',
        port: 22,
        user: 'root',
        credentialsRef: { name: secrets[0]!.metadata.name },
        hostKeys: [HOST_KEY],
      },
      failureDomain: 'rack-a',
    });
    expect(hosts[1]!.metadata.labels).toEqual({ role: 'worker', disk: 'ssd' });
    expect(hosts[1]!.spec.ssh.bastion).toMatchObject({ address: '192.0.2.1', hostKeys: [HOST_KEY] });
    expect(hosts.every(({ metadata }) => metadata.namespace === 'pool')).toBe(true);
    // The bastion is asked once, before the hosts behind it.
    expect(scanned.map(({ address }) => address)).toEqual(['192.0.2.1', '10.0.0.1', '10.0.0.2', '10.0.0.3']);
    expect(scanned.at(-1)).toMatchObject({ bastion: { hostKeys: [HOST_KEY] } });
    expect(said).toHaveLength(4);
    expect(said[1]).toBe('rack-a-1 (10.0.0.1:22): ssh-ed25519 SHA256:abc');
  });

  it('shows the fingerprints first, and prints nothing without agreement', async () => {
    await expect(run(['-f', csv()], false)).rejects.toThrow(/no agreement/);
    await expect(run(['-f', csv()])).rejects.toThrow(/--yes/);
    expect((await run(['-f', csv()], true)).objects).toHaveLength(5);
  });

  it('takes host keys that the file names, without asking the host', async () => {
    const file = write('h.csv', `address,key,host_key\n10.0.0.1,${join(folder, 'id')},${HOST_KEY}\n`);
    const { scanned, objects, said } = await run(['-f', file, '--yes']);
    expect(scanned).toEqual([]);
    expect((objects[1] as TSHost).spec.ssh.hostKeys).toEqual([HOST_KEY]);
    expect(said[0]).toMatch(/from the file/);
  });

  it('finds a key file that is missing before any host is asked', async () => {
    const file = write('h.csv', `address,key\n10.0.0.1,${join(folder, 'nothing')}\n`);
    await expect(run(['-f', file, '--yes'])).rejects.toThrow(/nothing cannot be read/);
  });

  it.each([
    ['an empty address', 'address,key\n,k\n', /line 2: column address is empty/],
    ['no key', 'address,key\na,\n', /line 2: column key is empty/],
    ['a port that is none', 'address,key,port\na,k,70000\n', /line 2, column port is not a TCP port/],
    ['labels without a value', 'address,key,labels\na,k,role\n', /write labels as/],
    ['an unknown column', 'address,key,adress\na,k,b\n', /no column "adress"/],
    ['nothing', 'address,key\n', /no host/],
    ['two hosts of one name', 'name,address,key\nx,a,k\nx,b,k\n', /two hosts are named x/],
    ['two hosts of one address', 'name,address,key\nx,a,k\ny,a,k\n', /same address a:22/],
    ['a broken line', 'address,key\na,k,c,d\n', /not a CSV file/],
  ])('refuses %s', async (_what, text, message) => {
    const file = write('bad.csv', text);
    await expect(run(['-f', file, '--yes'])).rejects.toThrow(message);
    await expect(run(['-f', file, '--yes'])).rejects.toThrow(UsageError);
  });
});

describe('terraform output', () => {
  const group = {
    public_address: ['203.0.113.1', '203.0.113.2'],
    private_address: ['10.0.0.1', '10.0.0.2'],
    hostnames: ['Master-1', 'master-2.example'],
    ssh_user: 'ubuntu',
    ssh_port: 2222,
    ssh_private_key_file: 'id',
  };

  it('takes hosts of the control plane and static workers', () => {
    const hosts = hostsFromTerraform(
      JSON.stringify({
        kubeone_api: { value: { endpoint: 'api.example' } },
        kubeone_hosts: { value: { control_plane: group } },
        kubeone_static_workers: {
          value: { pool1: { ...group, hostnames: undefined, bastion: '192.0.2.9', labels: { disk: 'ssd' } } },
        },
      }),
    );
    expect(hosts.map(({ name, address, port }) => [name, address, port])).toEqual([
      ['master-1', '203.0.113.1', 2222],
      ['master-2-example', '203.0.113.2', 2222],
      ['10-0-0-1', '10.0.0.1', 2222],
      ['10-0-0-2', '10.0.0.2', 2222],
    ]);
    expect(hosts[0]).toMatchObject({ user: 'ubuntu', labels: { role: 'control-plane' }, bastion: undefined });
    expect(hosts[2]).toMatchObject({
      labels: { role: 'worker', group: 'pool1', disk: 'ssd' },
      bastion: { address: '192.0.2.9', port: 22, user: 'ubuntu', keyFile: 'id' },
    });
  });

  it.each([
    ['no hosts', '{}', /no host in/],
    [
      'no key file',
      JSON.stringify({
        kubeone_hosts: { value: { control_plane: { ...group, ssh_private_key_file: '' } } },
      }),
      /ssh_private_key_file is empty/,
    ],
    [
      'no address',
      JSON.stringify({
        kubeone_hosts: { value: { control_plane: { ...group, public_address: [], private_address: [] } } },
      }),
      /no public_address/,
    ],
    ['no JSON', '{', /not JSON/],
  ])('refuses %s', (_what, text, message) => {
    expect(() => hostsFromTerraform(text)).toThrow(message);
  });

  it('reads a byte order mark and spaces as spreadsheets write them', () => {
    expect(hostsFromCsv('\uFEFFAddress , Key\r\n10.0.0.1 , k\r\n')[0]).toMatchObject({
      address: '10.0.0.1',
      keyFile: 'k',
    });
  });
});
