// SPDX-License-Identifier: Apache-2.0
// What the controller would say before it publishes data: whether a machine could come up with them, and how large they are.
import type { Machine } from '../api/cluster-api.ts';
import { checkBootstrapData } from '../kubeadm/checks/bootstrap-data.ts';
import { InputError } from '../kubeadm/input-error.ts';
import { machineContents, renderContents, type RenderInput } from '../kubeadm/render.ts';
import { dataLimit, publishedData, requireFit } from '../kubeadm/size.ts';
import type { ConfigManifest } from './manifests.ts';
import type { Note } from './sources.ts';

/** What is checked: everything in the clear. */
export interface Checked {
  readonly input: RenderInput;
  readonly config: ConfigManifest;
  readonly machine: Machine | undefined;
  /** Whether the Secret of that name was given. */
  readonly isGiven: (secret: string) => boolean;
}

/** Throws InputError that names all problems, and no value. Notes sizes. */
export function requireUsable({ input, config, machine, isGiven }: Checked, note: Note): void {
  const contents = machineContents(input);
  const unknown = (config.spec.files ?? []).flatMap(({ contentFrom }, index) =>
    contentFrom === undefined || isGiven(contentFrom.secret.name) ? [] : [`spec.files[${index}].encoding`],
  );
  const problems = checkBootstrapData(input, contents).filter(({ field }) => !unknown.includes(field));
  if (problems.length > 0) {
    const lines = problems.map(({ field, message }) => `\n  ${field} ${message}`);
    throw new InputError(config.label, `no machine could come up with this${lines.join('')}`);
  }
  const data = renderContents(contents, input);
  const { annotations } = config;
  const reference: Partial<Machine['spec']> = machine?.spec ?? {};
  const limit = dataLimit(
    { annotations, infrastructureKind: reference.infrastructureRef?.kind },
    data.format,
  );
  const plainBytes = Buffer.byteLength(data.value);
  const published = publishedData(data, limit);
  requireFit(published, limit, { plainBytes, files: contents.files });
  const compact = publishedData(data, { ...limit, bytes: 0, takesCompressed: true }).bytes.length;
  const form = published.compression === 'gzip' ? 'published compressed' : 'published in plain';
  note('size', `${plainBytes} bytes, ${compact} compressed`, `${form}; ${limit.setBy} allows ${limit.bytes}`);
}
