// SPDX-License-Identifier: Apache-2.0
// The small documents that stand for bootstrap data which do not fit as they are.
import { gzipSync } from 'node:zlib';
import { type DataSource, PART_HANDLER, SOURCE_CONTENT_TYPE } from './part-handler.ts';

/** Never in the parts: those are ours. */
const BOUNDARY = '==ts-provider==';

/** User data for cloud-init that fetch the data from where they wait. */
export function fetchingDocument(source: DataSource): Buffer {
  // Handlers are registered in the order of the parts.
  const parts = [
    part('text/part-handler', PART_HANDLER),
    part(SOURCE_CONTENT_TYPE, `${JSON.stringify(source)}\n`),
  ];
  const header = `Content-Type: multipart/mixed; boundary="${BOUNDARY}"\nMIME-Version: 1.0\n\n`;
  return Buffer.from(`${header}${parts.join('')}--${BOUNDARY}--\n`, 'utf8');
}

function part(contentType: string, content: string): string {
  return `--${BOUNDARY}\nContent-Type: ${contentType}; charset="us-ascii"\nMIME-Version: 1.0\nContent-Transfer-Encoding: 7bit\n\n${content}`;
}

/** From here on a config may replace itself by a compressed one (Ignition, specification 3.1.0). */
const FIRST_MINOR = 1;

/** An Ignition config that unpacks the given one; `undefined` where its specification does not know how. */
export function packedIgnition(config: Buffer): Buffer | undefined {
  const version = versionOf(config);
  if (version === undefined) return undefined;
  const source = `data:;base64,${gzipSync(config, { level: 9 }).toString('base64')}`;
  const replaced = { ignition: { version, config: { replace: { compression: 'gzip', source } } } };
  return Buffer.from(JSON.stringify(replaced), 'utf8');
}

function versionOf(config: Buffer): string | undefined {
  try {
    const { ignition } = JSON.parse(config.toString('utf8')) as { ignition?: { version?: unknown } };
    const [, version, minor] = /^(3\.(\d+)\.\d+)$/.exec(String(ignition?.version)) ?? [];
    return Number(minor) >= FIRST_MINOR ? version : undefined;
  } catch {
    return undefined;
  }
}
