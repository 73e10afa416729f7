// SPDX-License-Identifier: Apache-2.0
// Bootstrap data on their way to an instance: with RunInstances where they fit, else left in a vault from which the instance takes them.
import { createHash } from 'node:crypto';
import type { Ctx } from '../../../runtime/context.ts';
import { Reason } from '../../../api/conditions.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { BootstrapData, CreateIntent, MachineFacts } from '../../backend.ts';
import { choiceOf } from '../instance/choice.ts';
import { type AWSSession, AWSRefusal } from '../session/session.ts';
import { MACHINE_TAG, MACHINE_UID_TAG, tagsOf, TOKEN_TAG } from '../tags.ts';
import { fetchingDocument } from './document.ts';
import { type Form, formOf, mayBeStored, type Service } from './form.ts';
import { createMemory, type Stash } from './memory.ts';
import { VAULTS } from './vault.ts';

/** On an instance: where its bootstrap data waited, as `<service>:<number of parts>:<name without the number>`, {@link REMOVED} or {@link UNKNOWN}. */
export const USER_DATA_TAG = 'ts-provider/user-data';
/** Nothing waits any more. Written by whoever has called {@link UserDataStore.remove}, so that nobody has to ask again. */
export const REMOVED = 'removed';
/** It boots nothing, but whoever was to make another one with its token may have stored something for that, and died. */
const UNKNOWN = 'unknown';

/** Further tags of an instance that is made only to use its token up. None where the machine's settings let nothing be stored. */
export function tagsOfFence(machine: MachineFacts): Readonly<Record<string, string>> {
  return mayBeStored(machine) ? { [USER_DATA_TAG]: UNKNOWN } : {};
}

/** What RunInstances gets. */
export interface PreparedUserData {
  readonly base64: string;
  /** Further tags of the instance, by which {@link UserDataStore.remove} knows what to delete whoever is asked, and when. */
  readonly tags: Readonly<Record<string, string>>;
}

/** See the functions of {@link createUserDataStore}. */
export interface UserDataStore {
  /**
   * Puts the data where the instance gets them. A replay of the same intent with the same data gives the same answer, and makes no call
   * where they were left already. Throws TerminalError(UserDataTooLarge | BootstrapDataUnsupported).
   */
  prepare(
    ctx: Ctx,
    session: AWSSession,
    machine: MachineFacts,
    intent: CreateIntent,
    data: BootstrapData,
  ): Promise<PreparedUserData>;
  /**
   * Deletes what was stored for the machine, by any of its attempts; no call where nothing was, or it was deleted before. `instanceTags`:
   * of its instance, where that was ever seen: without them it takes a look where the settings of the machine leave it open.
   */
  remove(
    ctx: Ctx,
    session: AWSSession,
    machine: MachineFacts,
    instanceTags?: Readonly<Record<string, string>>,
  ): Promise<void>;
}

/** What a store is made of. */
export interface UserDataStoreOptions {
  /** Where instances find the services, and their metadata. Absent: at AWS. */
  readonly reachedAt?: { readonly endpoint: string; readonly metadata: readonly string[] };
}

/** Remembers in memory what it has stored and deleted: that saves calls, and nothing depends on it. */
export function createUserDataStore({ reachedAt }: UserDataStoreOptions = {}): UserDataStore {
  const memory = createMemory();

  async function store(ctx: Ctx, session: AWSSession, { machine, form, stash }: Leaving): Promise<void> {
    await forgetOthers(ctx, session, machine, stash);
    if (memory.isComplete(machine.uid, stash)) return;
    // Before the first of them is there, so that none is forgotten.
    memory.begin(machine.uid, stash);
    const vault = VAULTS[stash.service];
    const tags = tagsOfStored(machine, stash.clientToken);
    for (const [index, name] of stash.names.entries()) {
      const bytes = form.bytes.subarray(index * vault.partBytes, (index + 1) * vault.partBytes);
      await vault.put(ctx, session, { name, bytes, tags });
    }
    memory.complete(machine.uid, stash);
  }

  /** What was left for an attempt that AWS has refused meanwhile: no instance has its token. */
  async function forgetOthers(
    ctx: Ctx,
    session: AWSSession,
    machine: MachineFacts,
    stash: Stash,
  ): Promise<void> {
    for (const other of memory.of(machine.uid)) {
      if (other.clientToken === stash.clientToken) continue;
      await VAULTS[other.service].delete(ctx, session, other.names);
      memory.drop(machine.uid, other);
    }
  }

  return {
    async prepare(ctx, session, ...[machine, intent, data]) {
      const form = formOf(machine, data);
      if (form.storage === 'inline' || form.storage === 'gzip')
        return { base64: form.bytes.toString('base64'), tags: {} };
      const { storage: service, bytes } = form;
      const sha256 = sha256Of(bytes);
      const stash = stashOf(machine, intent.clientToken, { service, sha256, size: bytes.length });
      await store(ctx, session, { machine, form, stash });
      const { names } = stash;
      const document = fetchingDocument({ service, region: session.region, names, sha256, ...reachedAt });
      return { base64: document.toString('base64'), tags: { [USER_DATA_TAG]: tagValueOf(stash) } };
    },

    async remove(ctx, session, machine, instanceTags) {
      const { uid, intent } = machine;
      const known = memory.of(uid);
      const clientToken = intent?.clientToken ?? '';
      if (known.length === 0 && !isToBeSought(machine, instanceTags)) return;
      if (known.length === 0 && memory.wasRemoved(clientToken)) return;
      const isStored = known.length > 0 || isNamed(instanceTags);
      for (const service of servicesOf(machine, instanceTags, known)) {
        // Another manager may have stored data for an attempt before, or others for the same one, and ended before it told anybody.
        const found = await find(ctx, session, { service, machine, isStored });
        const told = known.filter((stash) => stash.service === service).flatMap(({ names }) => names);
        const tagged = namesInTag(machine, instanceTags?.[USER_DATA_TAG], service);
        await VAULTS[service].delete(ctx, session, [...new Set([...told, ...tagged, ...found])]);
      }
      memory.removed(uid, clientToken);
    },
  };
}

interface Leaving {
  readonly machine: MachineFacts;
  readonly form: Form;
  readonly stash: Stash;
}

/** Nothing was stored for an instance that does not say so. */
function isToBeSought(
  machine: MachineFacts,
  instanceTags: Readonly<Record<string, string>> | undefined,
): boolean {
  const tag = instanceTags?.[USER_DATA_TAG];
  if (instanceTags !== undefined) return tag !== undefined && tag !== REMOVED;
  return machine.intent !== undefined && mayBeStored(machine);
}

/** Whether the instance itself says that something was stored. */
function isNamed(instanceTags: Readonly<Record<string, string>> | undefined): boolean {
  return (instanceTags?.[USER_DATA_TAG] ?? UNKNOWN) !== UNKNOWN;
}

interface Sought {
  readonly service: Service;
  readonly machine: MachineFacts;
  /** Something was stored for sure. */
  readonly isStored: boolean;
}

async function find(ctx: Ctx, session: AWSSession, sought: Sought): Promise<string[]> {
  const { service, machine, isStored } = sought;
  const { namespace, name, uid, intent } = machine;
  if (intent === undefined) return [];
  const { clientToken } = intent;
  try {
    return await VAULTS[service].find(ctx, session, { machine: `${namespace}/${name}`, uid, clientToken });
  } catch (error) {
    const isDenied = error instanceof AWSRefusal && error.reason === Reason.CloudAccessDenied;
    if (isStored || !isDenied) throw error;
    // Who may not look may not store either: both are of one feature of the IAM policy.
    ctx.log.info({ message: error.message }, 'Stored user data may not be looked for; taken for none');
    return [];
  }
}

function servicesOf(
  machine: MachineFacts,
  instanceTags: Readonly<Record<string, string>> | undefined,
  known: readonly Stash[],
): Service[] {
  const tag = instanceTags?.[USER_DATA_TAG];
  const tagged = (Object.keys(VAULTS) as Service[]).filter((service) => tag?.startsWith(`${service}:`));
  const services = [...known.map(({ service }) => service), ...tagged];
  const { storage } = machine.spec.aws?.userData ?? {};
  const asked: Service = storage === 'ParameterStore' ? 'ssm' : 'secretsmanager';
  return services.length === 0 ? [asked] : [...new Set(services)];
}

function stashOf(
  machine: MachineFacts,
  clientToken: string,
  { service, sha256, size }: { readonly service: Service; readonly sha256: string; readonly size: number },
): Stash {
  const folder = folderOf(machine, clientToken, service);
  if (folder === undefined) throw new TransientError('The TSCluster has no infrastructureID yet');
  // Other data under the same token get other names: an instance that fetches the old ones at this moment gets all of them.
  const path = `${folder}${short(sha256)}`;
  const parts = Math.max(1, Math.ceil(size / VAULTS[service].partBytes));
  return { service, clientToken, path, names: numbered(path, parts) };
}

/** What all names of an attempt begin with. The TSCluster may be gone while deleting: the recorded choice knows it as well. */
function folderOf(machine: MachineFacts, clientToken: string, service: Service): string | undefined {
  const infrastructureID = choiceOf(machine.intent)?.infrastructureID ?? machine.infrastructureID;
  if (infrastructureID === undefined) return undefined;
  return `${VAULTS[service].prefix}ts-provider/${infrastructureID}/${short(sha256Of(clientToken))}/`;
}

function tagsOfStored(machine: MachineFacts, clientToken: string): Record<string, string> {
  return tagsOf({
    infrastructureID: machine.infrastructureID ?? '',
    clusterName: machine.clusterName,
    role: 'user-data',
    name: `${machine.namespace}/${machine.name}`,
    user: [machine.cluster?.aws?.tags, machine.spec.aws?.tags],
    own: {
      [MACHINE_TAG]: `${machine.namespace}/${machine.name}`,
      [MACHINE_UID_TAG]: machine.uid,
      [TOKEN_TAG]: clientToken,
    },
  });
}

function tagValueOf({ service, path, names }: Stash): string {
  return `${service}:${names.length}:${path}`;
}

/** Of this attempt only: others than we may have written the tag. */
function namesInTag(machine: MachineFacts, value: string | undefined, service: Service): string[] {
  const [, told, count, folder, hash = ''] =
    /^([a-z]+):([0-9]{1,3}):(.+\/)([0-9a-f]{16})$/.exec(value ?? '') ?? [];
  const isOurs = told === service && folder === folderOf(machine, machine.intent?.clientToken ?? '', service);
  return isOurs ? numbered(`${folder}${hash}`, Number(count)) : [];
}

function numbered(path: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${path}/${index}`);
}

function sha256Of(data: string | Buffer): string {
  return createHash('sha256').update(data).digest('hex');
}

function short(hash: string): string {
  return hash.slice(0, 16);
}
