// SPDX-License-Identifier: Apache-2.0
// `ts-provider artifacts list`: what a node of a Kubernetes version needs, and whom it would ask for it.
import { parseArgs } from 'node:util';
import { imagesFor } from '../../preparation/artifacts/versions.ts';
import { imageName } from './image-name.ts';
import { SELECTION_HELP, SELECTION_OPTIONS, selectionOf } from './options.ts';
import { filesFor, type NodeSelection, PACKAGE_HOSTS, REDIRECTS } from './upstream.ts';

export const LIST_HELP = `ts-provider artifacts list --kubernetes-version V [--json]

Prints every host with its port, every image and every file that a node of that version needs, control plane or worker. Asks nobody.

${SELECTION_HELP}  --json                       for programs
`;

/** A host of the internet that a node asks when its software comes from there. */
interface Endpoint {
  /** `host:port`; a `*` stands for some names. */
  readonly endpoint: string;
  readonly for: 'files' | 'images' | 'packages';
  /** The host that sends a client on to this one. */
  readonly redirectedFrom?: string;
}

/** Everything that a node needs. */
export interface Needs {
  readonly kubernetesVersion: string;
  readonly architecture: string;
  readonly endpoints: readonly Endpoint[];
  readonly images: readonly string[];
  readonly files: readonly { readonly name: string; readonly version: string; readonly url: string }[];
}

/** The command. Answers text. Throws UsageError and UnknownVersionError. */
export function listCommand(args: readonly string[]): string {
  const { values } = parseArgs({
    args: [...args],
    options: {
      ...SELECTION_OPTIONS,
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', short: 'h', default: false },
    },
  });
  if (values.help) return LIST_HELP;
  const needs = needsOf(selectionOf(values));
  return values.json ? `${JSON.stringify(needs, null, 2)}\n` : textOf(needs);
}

/** Throws UnknownVersionError. */
export function needsOf(selection: NodeSelection): Needs {
  const files = filesFor(selection);
  const images = imagesFor(selection.kubernetesVersion);
  const fileHosts = files.map(({ url }) => new URL(url).host);
  const imageHosts = images.map((image) => imageName(image).registry);
  return {
    kubernetesVersion: selection.kubernetesVersion,
    architecture: selection.architecture,
    endpoints: [
      ...endpointsOf('files', fileHosts),
      ...endpointsOf('images', imageHosts),
      ...endpointsOf('packages', PACKAGE_HOSTS[selection.containerRuntime]),
    ],
    images,
    files: files.map(({ name, version, url }) => ({ name, version, url })),
  };
}

function endpointsOf(purpose: Endpoint['for'], hosts: readonly string[]): Endpoint[] {
  return [...new Set(hosts)].flatMap((host) => [
    { endpoint: `${host}:443`, for: purpose },
    ...(REDIRECTS[host] ?? []).map((to) => ({
      endpoint: `${to}:443`,
      for: purpose,
      redirectedFrom: host,
    })),
  ]);
}

const PURPOSES: Readonly<Record<Endpoint['for'], string>> = {
  files: 'hosts of files, asked by "artifacts bundle"',
  images: 'hosts of images, asked by nodes without a mirror and by "artifacts bundle"',
  packages: 'hosts of packages, asked by nodes whose source is packages, besides those of the distribution',
};

function textOf({ kubernetesVersion, architecture, endpoints, images, files }: Needs): string {
  const hosts = (Object.keys(PURPOSES) as Endpoint['for'][]).flatMap((purpose) => [
    `# ${PURPOSES[purpose]}`,
    ...endpoints
      .filter((each) => each.for === purpose)
      .map(({ endpoint, redirectedFrom }) =>
        redirectedFrom === undefined
          ? endpoint
          : `${endpoint}  # ${redirectedFrom} has sent clients on to it`,
      ),
    '',
  ]);
  const lines = [
    `# Kubernetes ${kubernetesVersion}, linux/${architecture}`,
    '',
    ...hosts,
    '# images',
    ...images,
    '',
    '# files',
    ...files.map(({ url }) => url),
    '',
  ];
  return lines.join('\n');
}
