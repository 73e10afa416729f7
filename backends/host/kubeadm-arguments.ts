// SPDX-License-Identifier: Apache-2.0
// The providerID of the Node (IM-2): the kubelet tells it when it registers, so kubeadm is told to tell the kubelet.
import { Document, isMap, isScalar, isSeq, parseAllDocuments, type YAMLMap } from 'yaml';
import { TerminalError } from '../../runtime/errors.ts';

const ARGUMENT = 'provider-id';
const KINDS = ['InitConfiguration', 'JoinConfiguration'];
const GROUP = 'kubeadm.k8s.io/';

/** Before 1.22 of Kubernetes there were others; kubeadm of a supported Kubernetes reads these. */
const MAP_OF_ARGUMENTS = ['kubeadm.k8s.io/v1beta2', 'kubeadm.k8s.io/v1beta3'];

/**
 * The content of a file, with `provider-id` among the kubelet's arguments in every InitConfiguration and JoinConfiguration of kubeadm; a
 * ClusterConfiguration that stands alone gets an InitConfiguration. Any other content is answered as it is, byte for byte. TerminalError
 * BootstrapDataUnsupported when the argument is there with another value.
 */
export function withProviderID(content: string, providerID: string): string {
  if (!content.includes(GROUP)) return content;
  const documents = parseAllDocuments(content, { version: '1.1', keepSourceTokens: false });
  if (!Array.isArray(documents) || documents.some((document) => document.errors.length > 0)) return content;
  const kubeadm = documents.filter((document) => text(document, 'apiVersion').startsWith(GROUP));
  const registering = kubeadm.filter((document) => KINDS.includes(text(document, 'kind')));
  const cluster = kubeadm.find((document) => text(document, 'kind') === 'ClusterConfiguration');
  if (registering.length === 0 && cluster === undefined) return content;
  const changed = registering.map((document) => addArgument(document, providerID));
  if (registering.length > 0 && !changed.includes(true)) return content;
  const own =
    cluster !== undefined && registering.length === 0 ? [initConfiguration(cluster, providerID)] : [];
  return [...documents, ...own].map(render).join('');
}

/** Whether something was added. */
function addArgument(document: Document, providerID: string): boolean {
  const path = ['nodeRegistration', 'kubeletExtraArgs'];
  const args: unknown = document.getIn(path);
  const there = isSeq(args)
    ? args.items.flatMap((item) => (isMap(item) && item.get('name') === ARGUMENT ? [item.get('value')] : []))
    : isMap(args) && args.has(ARGUMENT)
      ? [args.get(ARGUMENT)]
      : [];
  for (const value of there) if (value !== providerID) throw conflict(document);
  if (there.length > 0) return false;
  if (!isMap(document.get('nodeRegistration'))) document.set('nodeRegistration', document.createNode({}));
  if (isSeq(args)) args.add(document.createNode({ name: ARGUMENT, value: providerID }));
  else if (isMap(args)) args.set(ARGUMENT, providerID);
  else document.setIn(path, document.createNode(argumentsFor(text(document, 'apiVersion'), providerID)));
  return true;
}

/** v1beta4 has a list of names and values, earlier versions a map (KB-43). */
function argumentsFor(apiVersion: string, providerID: string): object {
  return MAP_OF_ARGUMENTS.includes(apiVersion)
    ? { [ARGUMENT]: providerID }
    : [{ name: ARGUMENT, value: providerID }];
}

function initConfiguration(cluster: Document, providerID: string): Document {
  const apiVersion = text(cluster, 'apiVersion');
  return new Document({
    apiVersion,
    kind: 'InitConfiguration',
    nodeRegistration: { kubeletExtraArgs: argumentsFor(apiVersion, providerID) },
  });
}

function conflict(document: Document): TerminalError {
  return new TerminalError(
    'BootstrapDataUnsupported',
    `${text(document, 'kind')}: nodeRegistration.kubeletExtraArgs sets ${ARGUMENT} to another value than the one that this machine gets: ` +
      'leave it out, or write {{ ds.meta_data.provider_id }}',
  );
}

function text(document: Document, key: string): string {
  const root = document.contents as YAMLMap | null;
  const value = isMap(root) ? root.get(key) : undefined;
  return typeof value === 'string' ? value : isScalar(value) ? String(value.value) : '';
}

/** Each begins with a separator of its own, so that it does not matter how the one before ends. */
function render(document: Document): string {
  const body = document.toString({ lineWidth: 0 });
  const separated = /^(?:#.*\n|%.*\n|\s*\n)*---(?:\s|$)/.test(body) ? body : `---\n${body}`;
  return separated.endsWith('\n') ? separated : `${separated}\n`;
}
