// SPDX-License-Identifier: Apache-2.0
// What a user puts into a KubeadmConfig so that pods have a network: Debian's bridge plugin, and subnets that the router knows.

/** `files` and `preKubeadmCommands` of a KubeadmConfig. The subnet follows from the host's own address. */
export function podNetwork(): {
  files: { path: string; owner: string; permissions: string; content: string }[];
  preKubeadmCommands: string[];
} {
  const file = { path: '/etc/cni/net.d/10-pods.conflist', owner: 'root:root', permissions: '0644' };
  return {
    files: [{ ...file, content: JSON.stringify(CONFIG, undefined, 2) }],
    preKubeadmCommands: [`sed -i "s/HOST/$(${LAST_BYTE})/" ${file.path}`],
  };
}

const LAST_BYTE = String.raw`ip -4 -o addr show eth0 | sed 's|.*inet [0-9.]*\.\([0-9]*\)/.*|\1|'`;

const CONFIG = {
  cniVersion: '1.0.0',
  name: 'pods',
  plugins: [
    {
      type: 'bridge',
      bridge: 'cni0',
      isGateway: true,
      hairpinMode: true,
      ipam: {
        type: 'host-local',
        ranges: [[{ subnet: '10.244.HOST.0/24' }]],
        routes: [{ dst: '0.0.0.0/0' }],
      },
    },
    { type: 'portmap', capabilities: { portMappings: true } },
  ],
};
