// SPDX-License-Identifier: Apache-2.0

/** A providerID taken apart: which backend made the instance, and what the backend calls it. */
export type ProviderID =
  | {
      readonly backend: 'inMemory';
      /** Unique to the instance, never reused. */
      readonly instanceID: string;
    }
  | {
      readonly backend: 'host';
      readonly namespace: string;
      readonly host: string;
      /** The part that is the machine's own: a host is used again, its instances are not (peers 4.7 rule 10). */
      readonly instanceID: string;
    }
  | {
      readonly backend: 'aws';
      readonly availabilityZone: string;
      /** Such as i-0123456789abcdef0; EC2 never gives it again. */
      readonly instanceID: string;
    };

const IN_MEMORY_SCHEME = 'tsinmemory://';
const HOST_SCHEME = 'tshost://';
/** As the cloud controller manager of AWS writes it, with an empty authority. */
const AWS_SCHEME = 'aws:///';

/** Lower case, so that no part of the way can change it (PIT-1). */
const INSTANCE_ID = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const OBJECT_NAME = /^[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?$/;
const HOST_INSTANCE_ID = /^[0-9a-f]{8}$/;
const AWS_PATH = /^([a-z]{2}(?:-[a-z0-9]+)+)\/(i-[0-9a-f]+)$/;

/**
 * The providerID of an in-memory instance, `tsinmemory://<instance id>`. Both the TSMachine and the Node get it from here
 * (IM-2). Throws a RangeError for an id that is not a lower case DNS label.
 */
export function inMemoryProviderID(instanceID: string): string {
  if (!INSTANCE_ID.test(instanceID))
    throw new RangeError(`"${instanceID}" is not an instance id: use a lower case DNS label`);
  return IN_MEMORY_SCHEME + instanceID;
}

/**
 * The providerID of a machine on a host, `tshost://<namespace>/<host>/<instance id>`. Throws a RangeError for names that no object
 * can have and for an instance id that is not eight hex digits.
 */
export function hostProviderID(host: {
  readonly namespace: string;
  readonly name: string;
  readonly instanceID: string;
}): string {
  const { namespace, name, instanceID } = host;
  if (!OBJECT_NAME.test(namespace) || !OBJECT_NAME.test(name) || !HOST_INSTANCE_ID.test(instanceID))
    throw new RangeError(`"${namespace}/${name}/${instanceID}" does not name a machine on a host`);
  return `${HOST_SCHEME}${namespace}/${name}/${instanceID}`;
}

/**
 * The providerID of an EC2 instance, `aws:///<zone>/<instance id>`, the same as the cloud controller manager of AWS gives its Node.
 * Throws a RangeError for anything else.
 */
export function awsProviderID(availabilityZone: string, instanceID: string): string {
  const path = `${availabilityZone}/${instanceID}`;
  if (!AWS_PATH.test(path)) throw new RangeError(`"${path}" does not name an EC2 instance in a zone`);
  return AWS_SCHEME + path;
}

/** The inverse; `undefined` for a providerID that no backend of ours makes. */
export function parseProviderID(providerID: string): ProviderID | undefined {
  if (providerID.startsWith(HOST_SCHEME)) return parseHost(providerID.slice(HOST_SCHEME.length));
  if (providerID.startsWith(AWS_SCHEME)) return parseAWS(providerID.slice(AWS_SCHEME.length));
  if (!providerID.startsWith(IN_MEMORY_SCHEME)) return undefined;
  const instanceID = providerID.slice(IN_MEMORY_SCHEME.length);
  return INSTANCE_ID.test(instanceID) ? { backend: 'inMemory', instanceID } : undefined;
}

function parseHost(path: string): ProviderID | undefined {
  const [namespace = '', host = '', instanceID = '', ...rest] = path.split('/');
  const valid = OBJECT_NAME.test(namespace) && OBJECT_NAME.test(host) && HOST_INSTANCE_ID.test(instanceID);
  return valid && rest.length === 0 ? { backend: 'host', namespace, host, instanceID } : undefined;
}

function parseAWS(path: string): ProviderID | undefined {
  const [, availabilityZone = '', instanceID = ''] = AWS_PATH.exec(path) ?? [];
  return instanceID === '' ? undefined : { backend: 'aws', availabilityZone, instanceID };
}
