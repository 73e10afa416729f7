// SPDX-License-Identifier: Apache-2.0
import { isIP } from 'node:net';
import { TerminalError } from '../../../runtime/errors.ts';
import type { LoadBalancerConfig } from '../../host-driver.ts';
import { HAPROXY_MARKER } from '../traces.ts';

/** Where HAProxy can be asked and hands its sockets over, for root only. The folder is its own in every distribution. */
export const SOCKET = '/var/lib/haproxy/ts-provider.sock';

/**
 * The lines that hold for every cluster; HAProxy 1.8 knows them all. Connections of Kubernetes are long: watches, logs, port forwards. They
 * are ended by whoever uses them, by keepalive when the other side is gone, or here after hours. An API server that refuses anonymous
 * questions answers 401 or 403 and counts as live. Two file descriptors for each connection have to be within the hard limit, else HAProxy
 * does not start: 4000 is what some hundred Nodes need.
 */
const COMMON = `global
    maxconn 4000
    user haproxy
    group haproxy
    chroot /var/lib/haproxy
    stats socket ${SOCKET} mode 600 level admin expose-fd listeners
    hard-stop-after 1h

defaults
    mode tcp
    balance leastconn
    option clitcpka
    option srvtcpka
    option redispatch 1
    retries 3
    timeout connect 2s
    timeout client 4h
    timeout server 4h
    timeout tunnel 4h
    timeout client-fin 30s
    timeout server-fin 30s
    timeout queue 5s
    timeout check 3s
`;

const BACKEND = `
backend control-plane
    option httpchk GET /readyz
    http-check expect rstatus ^(200|401|403)$
    default-server check check-ssl verify none inter 2s fastinter 1s downinter 1s rise 1 fall 3 on-marked-down shutdown-sessions init-addr libc,none
`;

/**
 * The text of haproxy.cfg: TCP to the members whose API server says that it is ready, asked over TLS without a look at its certificate,
 * since nothing secret is sent. Without members it listens and refuses. Throws TerminalError(LoadBalancerInvalid) for what cannot be
 * written.
 */
export function haproxyConfig({ port, members }: Omit<LoadBalancerConfig, 'owner'>): string {
  const isSix = members.some(({ address }) => isIP(address) === 6);
  // Where the kernel has no IPv6, listening on it fails.
  const binds = [`bind *:${checkedPort(port)}`, ...(isSix ? [`bind :::${port} v6only`] : [])];
  return [
    `${HAPROXY_MARKER}: overwritten when the control plane changes.\n`,
    COMMON,
    '\nfrontend kubernetes-api\n',
    ...binds.map((line) => `    ${line}\n`),
    '    default_backend control-plane\n',
    BACKEND,
    ...members.map((member) => `    ${serverLine(member)}\n`),
  ].join('');
}

function serverLine({ name, address, port }: LoadBalancerConfig['members'][number]): string {
  if (!/^[A-Za-z0-9_.:-]{1,253}$/.test(name)) throw invalid(`the member's name "${name}"`);
  return `server ${name} ${checkedAddress(address)}:${checkedPort(port)}`;
}

/** Nothing but an address gets into the file. */
function checkedAddress(address: string): string {
  if (isIP(address) === 6 && !address.includes('%')) return `[${address}]`;
  if (/^[A-Za-z0-9](?:[A-Za-z0-9.-]{0,251}[A-Za-z0-9])?$/.test(address)) return address;
  throw invalid(`the member's address "${address}"`);
}

function checkedPort(port: number): number {
  if (Number.isInteger(port) && port > 0 && port < 65_536) return port;
  throw invalid(`port ${port}`);
}

function invalid(what: string): TerminalError {
  const message = `The load balancer cannot be configured with ${what}: mend it in the TSHost or the TSCluster`;
  return new TerminalError('LoadBalancerInvalid', message);
}
