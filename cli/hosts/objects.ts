// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import type { Secret } from '../../api/cluster-api.ts';
import { SecretKind, TSHostKind } from '../../api/kinds.ts';
import { MOVE_LABEL } from '../../api/labels.ts';
import type { TSHost } from '../../api/tshost.ts';
import type { EndpointEntry, HostEntry } from './entry.ts';

/** Contents of files that entries name: private keys and passwords. */
export type ReadFile = (path: string) => string;

/** One Secret for each key (and password), one TSHost for each entry: in this order, as `kubectl apply` wants them. */
export function hostObjects(
  entries: readonly HostEntry[],
  options: { readonly namespace: string; readonly read: ReadFile },
): (Secret | TSHost)[] {
  const secrets = new Map<string, Secret>();
  const secretFor = (end: EndpointEntry, sudoPasswordFile?: string) => {
    const secret = credentials(end, { ...options, sudoPasswordFile });
    secrets.set(secret.metadata.name, secret);
    return { name: secret.metadata.name };
  };
  const hosts = entries.map((entry): TSHost => {
    const { bastion, failureDomain } = entry;
    return {
      ...head(TSHostKind),
      metadata: { name: entry.name, namespace: options.namespace, labels: { ...entry.labels } },
      spec: {
        ssh: {
          ...endpoint(entry, secretFor(entry, entry.sudoPasswordFile)),
          ...(bastion && { bastion: endpoint(bastion, secretFor(bastion)) }),
        },
        ...(failureDomain !== undefined && { failureDomain }),
      },
    };
  });
  return [...secrets.values(), ...hosts];
}

function endpoint(entry: EndpointEntry, credentialsRef: { name: string }) {
  const { address, port, user, hostKeys } = entry;
  return { address, port, user, credentialsRef, hostKeys: [...hostKeys] };
}

/** Named after its contents: the same key is one Secret, another one never overwrites it. The name tells nothing of the key. */
function credentials(
  end: EndpointEntry,
  options: {
    readonly namespace: string;
    readonly read: ReadFile;
    readonly sudoPasswordFile: string | undefined;
  },
): Secret {
  const key = options.read(end.keyFile);
  const sudo = options.sudoPasswordFile && options.read(options.sudoPasswordFile).replace(/\r?\n$/, '');
  const hash = createHash('sha256')
    .update(JSON.stringify([key, sudo]))
    .digest('hex')
    .slice(0, 10);
  return {
    ...head(SecretKind),
    // A move to another management cluster takes it along.
    metadata: { name: `ssh-${hash}`, namespace: options.namespace, labels: { [MOVE_LABEL]: '' } },
    type: 'Opaque',
    data: {
      'ssh-privatekey': base64(key),
      ...(sudo !== undefined && sudo !== '' && { 'sudo-password': base64(sudo) }),
    },
  };
}

function head({ apiVersion, kind }: { apiVersion: string; kind: string }) {
  return { apiVersion, kind };
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}
