// SPDX-License-Identifier: Apache-2.0
// A kubelet that lies. With the credentials of a real one, a host asks for the serving certificates of others; the real signer would
// sign whatever is approved.
import { randomBytes, X509Certificate } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { CertificateSigningRequest } from '../../api/cluster-api.ts';
import { CertificateSigningRequestKind } from '../../api/kinds.ts';
import { pemBase64, requestDer, subjectOf } from '../../controllers/node/fixtures.ts';
import type { TestHost } from '../../hack/hosts/world.ts';
import { waitUntil } from '../../hack/stack/process.ts';
import { EventKind } from '../envtest/host-story.ts';
import { clusterManifest, untilNodes, type Workload, workload } from './cluster.ts';
import { importHosts, NAMESPACE, type Site, startSite, untilHosts } from './site.ts';

const ROLES = { 'host-1': 'load-balancer', 'host-2': 'control-plane', 'host-3': 'worker' };
/** A settled cluster is looked at twice a minute. */
const SOON = { timeoutMs: 90_000, pollMs: 500 };

let site: Site;
let cluster: Workload;
let controlPlane: TestHost;
let worker: TestHost;

beforeAll(async () => {
  site = await startSite({ count: 3 });
  [, controlPlane, worker] = site.world.hosts as [TestHost, TestHost, TestHost];
  await importHosts(site, ROLES);
  const at = site.management;
  await untilHosts(at, ({ status }) => status?.state === 'Available', { what: 'all hosts to be Available' });
  const size = { controlPlanes: 1, workers: 1 };
  await at.apply(await clusterManifest(site, size, { controlPlane: 'control-plane', worker: 'worker' }));
  cluster = await workload(site, at);
  await untilNodes(at, cluster, size);
});

afterAll(() => site?.stop());

interface Wish {
  readonly node?: string;
  readonly dns?: readonly string[];
  readonly ips?: readonly string[];
}

/** Sends a request as the kubelet of host-3 would, with its credentials. Returns the name of the request. */
async function ask({ node = worker.name, ...names }: Wish): Promise<string> {
  const { apiVersion, kind } = CertificateSigningRequestKind;
  const name = `asked-${randomBytes(4).toString('hex')}`;
  const spec = {
    request: pemBase64(requestDer({ subject: subjectOf(node), ...names })),
    signerName: 'kubernetes.io/kubelet-serving',
    usages: ['digital signature', 'server auth'],
  };
  const input = JSON.stringify({ apiVersion, kind, metadata: { name }, spec });
  const kubectl = ['kubectl', '--kubeconfig=/etc/kubernetes/kubelet.conf', '--cache-dir=/run/lock/kubectl'];
  const { code, stderr } = await worker.exec([...kubectl, 'create', '--filename=-'], { input });
  if (code !== 0) throw new Error(stderr);
  return name;
}

async function request(name: string): Promise<CertificateSigningRequest> {
  const found = await cluster.client.get(CertificateSigningRequestKind, { namespace: '', name });
  if (found === undefined) throw new Error(`CertificateSigningRequest ${name} does not exist`);
  return found;
}

/** The request that a kubelet has made for itself; it may come a little after its Node is Ready. */
async function requestOf(node: string): Promise<string> {
  let name = '';
  await waitUntil(
    async () => {
      const all = await cluster.client.list(CertificateSigningRequestKind, {});
      const own = all.filter(
        ({ spec }) =>
          spec.signerName === 'kubernetes.io/kubelet-serving' && spec.username === `system:node:${node}`,
      );
      name = own[0]?.metadata.name ?? '';
      return name !== '';
    },
    { what: `${node} to ask for a serving certificate`, ...SOON },
  );
  return name;
}

/** The certificate that the signer has made of a request. */
async function issued(name: string): Promise<X509Certificate> {
  let certificate = '';
  const asked = async () => (certificate = (await request(name)).status?.certificate ?? '') !== '';
  await waitUntil(asked, { what: `the certificate of ${name}`, ...SOON });
  return new X509Certificate(Buffer.from(certificate, 'base64'));
}

async function refusalOf(name: string): Promise<string> {
  let note = '';
  await waitUntil(
    async () => {
      const events = await site.management.client.list(EventKind, { namespace: NAMESPACE });
      const refusals = events.filter(({ reason }) => reason === 'ServingCertificateRefused');
      note = refusals.find((event) => event.note?.includes(name))?.note ?? '';
      return note !== '';
    },
    { what: `a word about ${name}`, ...SOON },
  );
  return note;
}

describe('the serving certificate of a kubelet', () => {
  it('is approved by us for each Node, with its own name and address', async () => {
    for (const { name, address } of [controlPlane, worker]) {
      const own = await requestOf(name);
      const certificate = await issued(own);
      expect(certificate.subjectAltName?.split(', ').sort()).toEqual([
        `DNS:${name}`,
        `IP Address:${address}`,
      ]);
      const { status } = await request(own);
      expect(status?.conditions?.map(({ reason }) => reason)).toEqual(['AddressesMatch']);
    }
  });

  it('is approved when it is asked for by hand with nothing but what is its own', async () => {
    const certificate = await issued(await ask({ dns: ['host-3'], ips: [worker.address] }));
    expect(certificate.subject).toBe('O=system:nodes\nCN=system:node:host-3');
  });

  it('is not even taken by the API server when it is for another Node', async () => {
    const wish = { node: controlPlane.name, dns: [controlPlane.name], ips: [controlPlane.address] };
    await expect(ask(wish)).rejects.toThrow('can only create a node CSR with CN=system:node:host-3');
  });

  it('is left alone when anything in it is not the own, and the machine says why', async () => {
    const wishes: readonly (readonly [Wish, RegExp])[] = [
      [{ dns: ['host-3'], ips: [controlPlane.address] }, /asks for 10\.\S+, which is not an address of/],
      [{ dns: ['host-2'], ips: [worker.address] }, /asks for host-2, which is not an address of/],
      [{ dns: ['host-3', 'kubernetes.default'] }, /asks for kubernetes\.default, which is not/],
      [{}, /asks for no name and no address/],
    ];
    const names: string[] = [];
    for (const [wish] of wishes) names.push(await ask(wish));
    for (const [index, [, reason]] of wishes.entries())
      expect(await refusalOf(names[index]!)).toMatch(reason);
    for (const { status } of await Promise.all(names.map(request))) {
      expect(status?.conditions ?? []).toEqual([]);
      expect(status?.certificate ?? '').toBe('');
    }
  });
});
