// SPDX-License-Identifier: Apache-2.0
// Names and addresses that a worker must not get a certificate for, although its host says that they are its own: a host may say
// anything, and who signs for kubelets signs for the API server, too.
import { BlockList, isIP } from 'node:net';
import type { Cluster } from '../../api/cluster-api.ts';
import { TSHostKind, TSMachineKind } from '../../api/kinds.ts';
import { parseProviderID } from '../../api/provider-id.ts';
import type { TSCluster } from '../../api/tscluster.ts';
import type { TSMachine } from '../../api/tsmachine.ts';
import { isControlPlane, ownerMachine } from '../../contract/owners.ts';
import { byCluster, CLUSTER_INDEX } from '../../contract/watches.ts';
import type { Cache } from '../../runtime/informer.ts';
import { canonicalIP } from './ip-address.ts';

/** Says whose a name or address is when it is not the machine's alone, as the end of a sentence; `undefined`: it may have it. */
export type Others = (nameOrAddress: string) => string | undefined;

/** What kubeadm takes where the Cluster says nothing. */
const DEFAULT_SERVICES = '10.96.0.0/12';

/** Names of the API server within the cluster, and of every machine for itself. */
const RESERVED = /^(?:localhost|kubernetes(?:\.default(?:\.svc(?:\..+)?)?)?)$/;

/** Control plane machines have the key that signs: there is nothing to keep from them. */
export function othersOf(
  cache: Cache,
  { object, cluster, machine }: { object: TSCluster; cluster: Cluster; machine: TSMachine },
): Others {
  if (isControlPlane(machine, ownerMachine(cache, machine))) return () => undefined;
  const own = comparable(declared(cache, machine));
  const endpoints = [object.spec.controlPlaneEndpoint?.host, cluster.spec?.controlPlaneEndpoint?.host];
  const ofEndpoint = new Set(endpoints.map(comparable));
  const ofMachines = new Set(
    byCluster(object)
      .flatMap((key) => cache.byIndex<TSMachine>(TSMachineKind, CLUSTER_INDEX, key))
      .filter(({ metadata }) => metadata.uid !== machine.metadata.uid)
      .flatMap((one) => [
        declared(cache, one),
        ...(one.status?.addresses ?? []).map(({ address }) => address),
      ])
      .map(comparable),
  );
  const reserved = reservedAddresses(cluster.spec?.clusterNetwork?.services?.cidrBlocks);
  return (nameOrAddress) => {
    const one = comparable(nameOrAddress);
    // What a person has written down as the way to this host is beyond doubt.
    if (one === own) return undefined;
    if (isIP(one) === 0 ? RESERVED.test(one) : reserved.check(one, isIP(one) === 6 ? 'ipv6' : 'ipv4'))
      return "which is no machine's own";
    if (ofEndpoint.has(one)) return 'which is the control plane endpoint';
    return ofMachines.has(one) ? 'which another TSMachine of the cluster has as well' : undefined;
  };
}

/** The address by which the machine's host is reached. */
function declared(cache: Cache, { spec }: TSMachine): string | undefined {
  const id = parseProviderID(spec.providerID ?? '');
  if (id?.backend !== 'host') return undefined;
  return cache.peek(TSHostKind, { namespace: id.namespace, name: id.host })?.spec.ssh.address;
}

function comparable(nameOrAddress: string | undefined): string {
  return canonicalIP(nameOrAddress ?? '') ?? (nameOrAddress ?? '').toLowerCase();
}

/** Loopback, and the addresses of Services. */
function reservedAddresses(services: readonly string[] = []): BlockList {
  const list = new BlockList();
  const ofServices = services.length > 0 ? services : [DEFAULT_SERVICES];
  for (const block of ['127.0.0.0/8', '0.0.0.0/8', '::/127', ...ofServices]) addBlock(list, block);
  return list;
}

/** What is no block is nobody's. */
function addBlock(list: BlockList, block: string): void {
  const [address = '', bits = ''] = block.split('/');
  const family = isIP(address);
  if (family === 0 || !/^\d{1,3}$/.test(bits) || Number(bits) > (family === 6 ? 128 : 32)) return;
  list.addSubnet(address, Number(bits), family === 6 ? 'ipv6' : 'ipv4');
}
