// SPDX-License-Identifier: Apache-2.0
// Simulated hosts as a process of their own. Prints one line of JSON, {@link HostsLine}, and serves until it is ended.
import { readFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import type { Plan } from './behaviour.ts';
import { startControl } from './control.ts';
import { startSshHosts } from './hosts.ts';
import type { SshdAddress } from './sshd.ts';

/** Where the hosts are, and how to log in. */
export interface HostsLine {
  /** Of the control requests. */
  readonly url: string;
  readonly privateKey: string;
  readonly hosts: readonly (SshdAddress & { readonly name: string })[];
}

const HELP = `node hack/ssh-hosts/main.ts [flags]: simulated hosts, each with a real SSH server on a port of 127.0.0.1

  --count N               how many; default 10
  --kubernetes VERSION    of kubeadm and kubelet on them; default v1.36.0
  --plain                 nothing was installed on them yet
  --plan FILE             JSON: {"all": {...}, "hosts": {"3": {"sshd": "hangs"}}}; fields as in behaviour.ts
  --seed N                draws all times; default 1
`;

const { values } = parseArgs({
  options: {
    count: { type: 'string', default: '10' },
    kubernetes: { type: 'string', default: 'v1.36.0' },
    plain: { type: 'boolean', default: false },
    plan: { type: 'string' },
    seed: { type: 'string', default: '1' },
    help: { type: 'boolean', default: false },
  },
});

if (values.help) process.stdout.write(HELP);
else {
  const plan =
    values.plan === undefined ? {} : { plan: JSON.parse(readFileSync(values.plan, 'utf8')) as Plan };
  const { count, kubernetes, plain, seed } = values;
  const made = await startSshHosts({ count: Number(count), kubernetes, plain, seed: Number(seed), ...plan });
  const line: HostsLine = {
    url: await startControl(made),
    privateKey: made.privateKey,
    hosts: made.hosts.map(({ name, port, hostKey }) => ({ name, port, hostKey })),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}
