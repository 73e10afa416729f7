// SPDX-License-Identifier: Apache-2.0
import { gunzipSync } from 'node:zlib';
import { isMap, type Document, parseAllDocuments, parseDocument } from 'yaml';
import { TerminalError } from '../../runtime/errors.ts';
import type { BootstrapData } from '../backend.ts';

/** What the instance's metadata service would tell cloud-init. */
export interface InstanceMetadata {
  readonly hostname: string;
  readonly instanceID: string;
  readonly providerID: string;
}

/** A taint as kubeadm and Nodes write it. */
export interface Taint {
  readonly key: string;
  readonly value?: string;
  readonly effect: string;
}

/** What a kubeadm machine does at its first boot, as its bootstrap data says. */
export interface FirstBoot {
  readonly role: 'init' | 'controlPlaneJoin' | 'workerJoin';
  readonly nodeName: string;
  /** `undefined`: kubeadm's default taint on control plane nodes. An empty list: none (KB-41). */
  readonly taints: readonly Taint[] | undefined;
  readonly kubeletExtraArgs: ReadonlyMap<string, string>;
  /** Port of the local API server, where one is asked for. */
  readonly bindPort: number;
  /** The ClusterConfiguration document of an init. */
  readonly clusterConfiguration: Readonly<Record<string, unknown>> | undefined;
}

/** Where cloud-config (KB 6.9) and Ignition (KB 6.10) put the configuration for kubeadm. */
const KUBEADM_FILES = [
  '/run/kubeadm/kubeadm.yaml',
  '/run/kubeadm/kubeadm-join-config.yaml',
  '/etc/kubeadm.yml',
];

const DEFAULT_BIND_PORT = 6443;

/** A few hundred kilobytes are normal; this bounds what a broken gzip stream may unfold to. */
const MAX_BYTES = 16 * 1024 * 1024;

type Json = Readonly<Record<string, unknown>>;

/** Reads bootstrap data as the machine would. Throws TerminalError(BootstrapDataInvalid), never with any of the content. */
export function readFirstBoot(data: BootstrapData, metadata: InstanceMetadata): FirstBoot {
  const text = unzip(data.value).toString('utf8');
  const file =
    data.format === 'ignition' ? kubeadmFileOfIgnition(text) : kubeadmFileOfCloudConfig(text, metadata);
  const documents = documentsOf(file);
  const init = documents.get('InitConfiguration');
  const clusterConfiguration = documents.get('ClusterConfiguration');
  const join = documents.get('JoinConfiguration');
  if (join !== undefined) {
    const controlPlane = join['controlPlane'];
    const role = isObject(controlPlane) ? 'controlPlaneJoin' : 'workerJoin';
    return firstBoot(
      { role, configuration: join, local: objectAt(controlPlane, 'localAPIEndpoint') },
      metadata,
    );
  }
  if (init === undefined && clusterConfiguration === undefined) {
    throw invalid('has neither an InitConfiguration nor a JoinConfiguration for kubeadm');
  }
  const source = {
    role: 'init' as const,
    configuration: init ?? {},
    local: objectAt(init, 'localAPIEndpoint'),
  };
  return firstBoot(source, metadata, clusterConfiguration ?? {});
}

interface Source {
  readonly role: FirstBoot['role'];
  readonly configuration: Json;
  readonly local: Json;
}

function firstBoot(source: Source, metadata: InstanceMetadata, clusterConfiguration?: Json): FirstBoot {
  const registration = objectAt(source.configuration, 'nodeRegistration');
  const { bindPort } = source.local;
  return {
    role: source.role,
    nodeName: nodeName(registration['name'], metadata.hostname),
    taints: taintsOf(registration['taints']),
    kubeletExtraArgs: extraArgs(registration['kubeletExtraArgs']),
    bindPort: typeof bindPort === 'number' ? bindPort : DEFAULT_BIND_PORT,
    clusterConfiguration,
  };
}

/** kubeadm takes the host's name when none is given, and lower-cases it. Shell variables that Ignition leaves are the host's name. */
function nodeName(name: unknown, hostname: string): string {
  if (typeof name !== 'string' || name === '' || name.includes('$')) return hostname;
  return name.trim().toLowerCase();
}

const EFFECTS: readonly unknown[] = ['NoSchedule', 'PreferNoSchedule', 'NoExecute'];

/** Checked here: the API server would refuse the Node for ever, and the machine would never say why. */
function taintsOf(taints: unknown): readonly Taint[] | undefined {
  if (!Array.isArray(taints)) return undefined;
  if (taints.every(isTaint)) return taints;
  throw invalid(
    'has a taint in nodeRegistration.taints that is not a key with an effect (NoSchedule, PreferNoSchedule or NoExecute)',
  );
}

function isTaint(taint: unknown): taint is Taint {
  if (!isObject(taint)) return false;
  const { key, value = '', effect } = taint;
  return typeof key === 'string' && key !== '' && typeof value === 'string' && EFFECTS.includes(effect);
}

/** v1beta4 has a list of names and values, v1beta3 a map (KB-43). */
function extraArgs(args: unknown): ReadonlyMap<string, string> {
  if (Array.isArray(args)) {
    return new Map(args.filter(isObject).map((arg) => [textOf(arg['name']), textOf(arg['value'])]));
  }
  return new Map(Object.entries(isObject(args) ? args : {}).map(([name, value]) => [name, textOf(value)]));
}

function kubeadmFileOfCloudConfig(text: string, metadata: InstanceMetadata): string {
  const config = parse(
    /^## template: *jinja/.test(text) ? renderJinja(text, metadata) : text,
    'cloud-config',
  );
  const file = kubeadmFile(config['write_files']);
  const content = textOf(file['content']);
  switch (file['encoding']) {
    case undefined:
    case 'text/plain':
      return content;
    case 'b64':
    case 'base64':
      return Buffer.from(content, 'base64').toString('utf8');
    default:
      return unzip(Buffer.from(content, 'base64')).toString('utf8');
  }
}

function kubeadmFileOfIgnition(text: string): string {
  const config = parse(text, 'Ignition');
  const file = kubeadmFile(objectAt(config, 'storage')['files']);
  const contents = objectAt(file, 'contents');
  const source = /^data:([^,]*),(.*)$/s.exec(textOf(contents['source']));
  if (source === null)
    throw invalid('keeps the configuration for kubeadm outside of itself, which is not supported');
  const [, type = '', payload = ''] = source;
  const bytes = type.endsWith(';base64') ? Buffer.from(payload, 'base64') : Buffer.from(unescapeURL(payload));
  return unzip(bytes).toString('utf8');
}

function kubeadmFile(files: unknown): Json {
  const objects = Array.isArray(files) ? files.filter(isObject) : [];
  const file = objects.find((one) => KUBEADM_FILES.includes(textOf(one['path'])));
  if (file === undefined) throw invalid(`writes none of ${KUBEADM_FILES.join(', ')}`);
  return file;
}

function unescapeURL(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw invalid('has a data URL that is not well formed');
  }
}

/** The variables that node names and kubelet arguments use; an unknown one reads as cloud-init writes it. */
function renderJinja(text: string, metadata: InstanceMetadata): string {
  const variables: Record<string, string> = {
    local_hostname: metadata.hostname,
    hostname: metadata.hostname,
    instance_id: metadata.instanceID,
    'instance-id': metadata.instanceID,
    provider_id: metadata.providerID,
  };
  return text.replace(/\{\{\s*([\w.\-"'[\]]+)\s*\}\}/g, (_all, path: string) => {
    const name = path
      .replace(/^(ds\.meta_data\.|ds\.|v1\.)/, '')
      .replace(/^ds\[['"]meta_data['"]\]\[['"]|['"]\]$/g, '');
    return variables[name] ?? `CI_MISSING_JINJA_VAR/${name}`;
  });
}

/** Documents of kubeadm's configuration file by kind. */
function documentsOf(file: string): ReadonlyMap<string, Json> {
  const documents = parseAllDocuments(file, { prettyErrors: false });
  const objects = Array.isArray(documents) ? documents.map((document) => contentOf(document, 'kubeadm')) : [];
  return new Map(objects.map((object) => [String(object['kind']), object]));
}

function parse(text: string, what: string): Json {
  return contentOf(parseDocument(text, { prettyErrors: false }), what);
}

/** Errors of the parser quote the text, which holds keys and tokens: only the place goes on. */
function contentOf(document: Document.Parsed, what: string): Json {
  const [error] = document.errors;
  if (error !== undefined)
    throw invalid(`is not well formed as ${what} (${error.code} at character ${error.pos[0]})`);
  if (!isMap(document.contents)) return {};
  try {
    return document.toJS() as Json;
  } catch {
    throw invalid(`uses YAML aliases that cannot be resolved in its ${what} part`);
  }
}

function unzip(bytes: Buffer): Buffer {
  const zipped = bytes[0] === 0x1f && bytes[1] === 0x8b;
  if (!zipped) return bytes;
  try {
    return gunzipSync(bytes, { maxOutputLength: MAX_BYTES });
  } catch {
    throw invalid('is a damaged gzip stream');
  }
}

function objectAt(value: unknown, key: string): Json {
  const inner = isObject(value) ? value[key] : undefined;
  return isObject(inner) ? inner : {};
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean'
    ? String(value)
    : '';
}

function isObject(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalid(why: string): TerminalError {
  return new TerminalError('BootstrapDataInvalid', `The bootstrap data ${why}`);
}
