// SPDX-License-Identifier: Apache-2.0
// The same config with the contents of its files packed. Ignition unpacks them itself, so this needs nothing of the infrastructure.
import { gzipSync } from 'node:zlib';
import { canonicalJSON } from './canonical-json.ts';

/** What has contents in spec 2 and in spec 3. */
interface Resource {
  source?: string;
  compression?: string;
  verification?: { hash?: string };
}

interface Document {
  storage?: { files?: { contents?: Resource; append?: boolean | Resource[] }[] };
}

/** `text` is a config of any version that we write. What would not become smaller stays as it is. */
export function compactIgnition(text: string): string {
  const document = JSON.parse(text) as Document;
  for (const { contents, append } of document.storage?.files ?? []) {
    const resources = Array.isArray(append) ? append : [];
    for (const resource of [contents, ...resources]) if (resource !== undefined) pack(resource);
  }
  return canonicalJSON(document);
}

function pack(resource: Resource): void {
  const { source = '', compression = '', verification } = resource;
  // A hash that a person gave is of the contents as they are.
  if (compression !== '' || verification?.hash !== undefined) return;
  const bytes = bytesOf(source);
  const packed = bytes && `data:;base64,${gzipSync(bytes).toString('base64')}`;
  if (packed === undefined || packed.length + ',"compression":"gzip"'.length >= source.length) return;
  resource.source = packed;
  resource.compression = 'gzip';
}

/** Of a data URL as we write them, or one in base64. */
function bytesOf(source: string): Buffer | undefined {
  const [, type, payload = ''] = /^data:([^,]*),(.*)$/s.exec(source) ?? [];
  if (type === undefined) return undefined;
  if (type.endsWith(';base64')) return Buffer.from(payload, 'base64');
  const parts = payload.split(/(%[0-9a-f]{2})/i);
  return Buffer.concat(
    parts.map((part) => (/^%..$/.test(part) ? Buffer.from(part.slice(1), 'hex') : Buffer.from(part))),
  );
}
