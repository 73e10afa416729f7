// SPDX-License-Identifier: Apache-2.0
import { isIPv4 } from 'node:net';
import { TerminalError } from '../../../runtime/errors.ts';
import type { VirtualIPConfig } from '../../host-driver.ts';
import { KEEPALIVED_MARKER } from '../traces.ts';
import { CHECK_FILE, READY_FILE } from './check-script.ts';

/** Stands for the name of the interface with the host's own address, which only the host knows. */
export const INTERFACE = '@INTERFACE@';

/**
 * The text of keepalived.conf; keepalived 2.0 knows all of it. VRRP version 2, since version 3 has no password. All hosts begin as BACKUP
 * with one priority: nobody takes the address from one who does as well. Whoever may not hold it is in FAULT, which it tells the others at
 * once, so that they need not miss it first. The address comes behind those that the host has, and is nobody's first choice as a source.
 * Refreshes set right whoever still sends to a host that hangs. Throws TerminalError(VirtualIPFailed) for what cannot be written.
 */
export function keepalivedConfig(config: Omit<VirtualIPConfig, 'owner' | 'start'>): string {
  const { address, own, routerID } = config;
  check(config);
  // Without a peer keepalived would turn to multicast. What is sent to the address itself stays on the host.
  const peers = config.peers.length === 0 ? [address] : config.peers;
  return `${KEEPALIVED_MARKER} ${address}: overwritten when the control plane changes.
global_defs {
    router_id ts-provider
    script_user root
    enable_script_security
}

vrrp_script may_hold {
    script "${[CHECK_FILE, config.port, ...config.peers].join(' ')}"
    interval 1
    timeout 5
    fall 2
    rise 1
    init_fail
}

vrrp_script healthy {
    script "/usr/bin/test -e ${READY_FILE}"
    interval 1
    fall 1
    rise 1
    weight 50
}

vrrp_instance control_plane {
    version 2
    state BACKUP
    interface ${INTERFACE}
    virtual_router_id ${routerID}
    priority 100
    advert_int 1
    garp_master_refresh 5
    unicast_src_ip ${own}
    unicast_peer {
${peers.map((peer) => `        ${peer}\n`).join('')}    }
    authentication {
        auth_type PASS
        auth_pass ${config.password}
    }
    virtual_ipaddress {
        ${address}/32 dev ${INTERFACE}
    }
    track_script {
        may_hold
        healthy
    }
}
`;
}

function check(config: Omit<VirtualIPConfig, 'owner' | 'start'>): void {
  const { address, port, own, peers, routerID, password } = config;
  const wrong = [address, own, ...peers].find((one) => !isIPv4(one));
  if (wrong !== undefined) throw invalid(`"${wrong}", which is no IPv4 address`);
  if ([own, ...peers].includes(address)) throw invalid(`the address ${address}, which is a host's own`);
  if (!isWithin(port, 65_535)) throw invalid(`port ${port}`);
  if (!isWithin(routerID, 255)) throw invalid(`router id ${routerID}`);
  if (!/^[\w-]{1,8}$/.test(password))
    throw invalid('a password that is not of one to eight plain characters');
}

function isWithin(value: number, most: number): boolean {
  return Number.isInteger(value) && value > 0 && value <= most;
}

function invalid(what: string): TerminalError {
  const message = `The virtual address cannot be configured with ${what}: mend it in the TSHost or the TSCluster`;
  return new TerminalError('VirtualIPFailed', message);
}
