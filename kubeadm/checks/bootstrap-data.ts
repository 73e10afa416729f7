// SPDX-License-Identifier: Apache-2.0
// Whether a machine could come up with what it is to get: by the rules of kubeadm, of cloud-init and of Jinja that can be known before
// there is a machine. What they accept, passes; Ignition's own rules are checked where Ignition is rendered.
import type { MachineContents, ResolvedFile } from '../machine-contents.ts';
import type { RenderInput } from '../render.ts';
import { parseKubernetesVersion } from '../version.ts';
import { checkClusterConfiguration } from './cluster-configuration.ts';
import { checkInitConfiguration } from './init-configuration.ts';
import { checkJinja, type JinjaText } from './jinja-tags.ts';
import { checkJoinConfiguration } from './join-configuration.ts';
import { checkCloudConfig } from './machine-files.ts';
import { checkControlPlaneEndpoint, checkNetworking } from './networking.ts';
import type { Problem } from './problem.ts';

/** Everything that is wrong with it; empty when nothing is. `contents` is what {@link RenderInput} comes to. */
export function checkBootstrapData(input: RenderInput, contents: MachineContents): Problem[] {
  return [
    ...checkKubeadm(input, contents),
    ...(isCloudConfig(input) ? checkForCloudInit(input, contents) : []),
  ];
}

function isCloudConfig({ spec }: RenderInput): boolean {
  return spec.format !== 'ignition';
}

/** Rules of `kubeadm config validate`, and what kubeadm refuses right after. */
function checkKubeadm(input: RenderInput, contents: MachineContents): Problem[] {
  if (isRewritten(contents)) return [];
  const { purpose, spec, cluster } = input;
  if (purpose !== 'init') return checkJoinConfiguration(spec.joinConfiguration ?? {});
  const configuration = spec.clusterConfiguration ?? {};
  const version = parseKubernetesVersion(input.kubernetesVersion, 'kubernetesVersion');
  return [
    ...checkNetworking(cluster, configuration),
    ...checkControlPlaneEndpoint(cluster, configuration),
    ...checkClusterConfiguration(configuration, version),
    ...checkInitConfiguration(spec.initConfiguration ?? {}),
  ];
}

/** kubeadm's file, by the names that it has with cloud-init and with Ignition. */
const KUBEADM_FILE = /kubeadm(?:-join-config)?\.ya?ml|\/run\/kubeadm/;

/** A machine that touches kubeadm's file itself may put right whatever is wrong in it. */
function isRewritten({ bootCommands, preKubeadmCommands, files }: MachineContents): boolean {
  const texts = [...bootCommands, ...preKubeadmCommands, ...files.map(plainText)];
  return texts.some((text) => KUBEADM_FILE.test(text));
}

function plainText({ encoding, content }: ResolvedFile): string {
  return encoding === 'base64' ? Buffer.from(content, 'base64').toString('utf8') : content;
}

function checkForCloudInit(input: RenderInput, contents: MachineContents): Problem[] {
  const before = input.certificateFiles.length;
  const files = contents.files.slice(before, before + (input.spec.files?.length ?? 0));
  return [...checkCloudConfig(contents, files), ...checkTags(contents, before)];
}

const WAY_OUT = 'write {% raw %} before and {% endraw %} behind what is not meant for cloud-init';

function checkTags(contents: MachineContents, before: number): Problem[] {
  const found = checkJinja(textsOf(contents, before));
  if (found === undefined) return [];
  const { at, message } = found;
  const why = `has ${message}${at.hint}, and cloud-init would drop everything: ${WAY_OUT}`;
  return [{ field: at.field, message: why }];
}

/** Every text of the document that is a person's, in its order. */
function textsOf(contents: MachineContents, before: number): JinjaText[] {
  const { diskSetup } = contents;
  return [
    ...contents.files.flatMap(({ path, owner, permissions, content }, index) =>
      texts(`spec.files[${index - before}]`, [path, owner, permissions, content], ` (file ${path})`),
    ),
    ...texts('spec', contents.kubeadmConfig, ' in a value for kubeadm'),
    ...each('spec.bootCommands', contents.bootCommands),
    ...each('spec.preKubeadmCommands', contents.preKubeadmCommands),
    ...each('spec.postKubeadmCommands', contents.postKubeadmCommands),
    ...each('spec.ntp.servers', contents.ntp?.servers ?? []),
    ...each('spec.users', contents.users),
    ...each('spec.diskSetup.partitions', diskSetup?.partitions ?? []),
    ...each('spec.diskSetup.filesystems', diskSetup?.filesystems ?? []),
    ...each('spec.mounts', contents.mounts),
  ];
}

function each(field: string, items: readonly unknown[]): JinjaText[] {
  return items.flatMap((item, index) => texts(`${field}[${index}]`, item));
}

/** Every string in a value. */
function texts(field: string, value: unknown, hint = ''): JinjaText[] {
  if (typeof value === 'string') return [{ field, hint, text: value }];
  if (typeof value !== 'object' || value === null) return [];
  return Object.values(value).flatMap((inner) => texts(field, inner, hint));
}
