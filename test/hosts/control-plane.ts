// SPDX-License-Identifier: Apache-2.0
// Which host holds the leader of etcd, and a health check that replaces a control plane machine.
import type { HostWorld, TestHost } from '../../hack/hosts/world.ts';
import { CLUSTER } from './cluster.ts';
import { NAMESPACE } from './site.ts';

/** etcd tells it on a port that listens on the loopback only; there may be no curl on a host. */
const ASK_ETCD = String.raw`exec 3<>/dev/tcp/127.0.0.1/2381
printf 'GET /metrics HTTP/1.0\r\n\r\n' >&3
grep '^etcd_server_is_leader' <&3`;

/** The host whose etcd says that it leads. */
export async function etcdLeader({ hosts }: HostWorld): Promise<TestHost> {
  for (const host of hosts) {
    const { stdout } = await host.exec(['bash', '-c', ASK_ETCD]).catch(() => ({ stdout: '' }));
    if (stdout.trim() === 'etcd_server_is_leader 1') return host;
  }
  throw new Error('no host says that its etcd is the leader');
}

/** Replaces a control plane machine whose Node has not been heard of for some seconds. */
export const CONTROL_PLANE_HEALTH_CHECK = `
apiVersion: cluster.x-k8s.io/v1beta2
kind: MachineHealthCheck
metadata: {name: ${CLUSTER}-control-plane, namespace: ${NAMESPACE}}
spec:
  clusterName: ${CLUSTER}
  selector:
    matchLabels: {cluster.x-k8s.io/control-plane: ""}
  checks:
    nodeStartupTimeoutSeconds: 600
    unhealthyNodeConditions:
      - {type: Ready, status: Unknown, timeoutSeconds: 5}
  remediation:
    triggerIf: {unhealthyLessThanOrEqualTo: 40%}
`;
