// SPDX-License-Identifier: Apache-2.0
// Bootstrap data as its consumer understands it: parsed, decoded, and with kubeadm's documents parsed within.
import { gunzipSync } from 'node:zlib';
import { parseAllDocuments, parseDocument } from 'yaml';

/** A JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Files that hold documents for kubeadm. */
const KUBEADM_FILES = new Set([
  '/run/kubeadm/kubeadm.yaml',
  '/run/kubeadm/kubeadm-join-config.yaml',
  '/etc/kubeadm.yml',
]);

/** What cloud-init, or Ignition, would read. What cannot be parsed is told as `unparsable`, not thrown. */
export function parsePayload(format: string, text: string): Json {
  return format === 'ignition' ? ignition(text) : cloudConfig(text);
}

function cloudConfig(text: string): Json {
  const header = text.split('\n', 2);
  // PyYAML, which cloud-init reads with, knows YAML 1.1 and lets the last of two equal keys win.
  const document = parseDocument(text, { version: '1.1', uniqueKeys: false });
  const [error] = document.errors;
  if (error !== undefined) return { unparsable: `cloud-config: ${error.code}` };
  const content = plain(document.toJS()) as Record<string, Json> | null;
  if (content === null || typeof content !== 'object' || Array.isArray(content))
    return { unparsable: 'cloud-config: not an object' };
  const { write_files: files = [], ...rest } = content;
  return { header, ...rest, write_files: (files as Json[]).map(writtenFile) };
}

function writtenFile(file: Json): Json {
  const { path, content, ...rest } = file as Record<string, Json>;
  const bytes = decoded(String(content), String(rest['encoding'] ?? ''));
  return { path: path ?? null, ...rest, content: fileContent(String(path), bytes) };
}

function decoded(content: string, encoding: string): Buffer {
  const bytes = encoding.endsWith('base64') ? Buffer.from(content, 'base64') : Buffer.from(content);
  if (!encoding.startsWith('gzip')) return bytes;
  try {
    return gunzipSync(bytes);
  } catch {
    return bytes; // Whoever wrote it said more than is true; both providers hand it on.
  }
}

function ignition(text: string): Json {
  let config: Record<string, Json>;
  try {
    config = JSON.parse(text) as Record<string, Json>;
  } catch {
    return { unparsable: 'ignition: not JSON' };
  }
  const storage = (config['storage'] ?? {}) as Record<string, Json>;
  const files = ((storage['files'] ?? []) as Json[]).map(ignitionFile);
  return { ...config, storage: { ...storage, files } };
}

function ignitionFile(file: Json): Json {
  const { path, contents, ...rest } = file as Record<string, Json>;
  const { source, ...more } = (contents ?? {}) as Record<string, Json>;
  const bytes = dataURL(String(source ?? ''));
  const seen = bytes === undefined ? (source ?? null) : fileContent(String(path), bytes);
  return { path: path ?? null, ...rest, contents: { ...more, source: seen } };
}

/** RFC 2397; `undefined` for any other URL. */
function dataURL(url: string): Buffer | undefined {
  const match = /^data:([^,]*),(.*)$/s.exec(url);
  if (match === null) return undefined;
  const [, kind = '', data = ''] = match;
  return kind.endsWith(';base64')
    ? Buffer.from(decodeURIComponent(data), 'base64')
    : Buffer.from(decodeURIComponent(data));
}

function fileContent(path: string, bytes: Buffer): Json {
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes)) return { base64: bytes.toString('base64') };
  return KUBEADM_FILES.has(path) ? { documents: kubeadmDocuments(text) } : text;
}

/** Documents for kubeadm in their order; an empty one, from a separator with nothing after it, counts for nothing. */
export function kubeadmDocuments(text: string): Json[] {
  return parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) return [{ unparsable: `kubeadm: ${error.code}` }];
    const value = plain(document.toJS());
    return value === null ? [] : [value];
  });
}

/** What a YAML parser gives, as JSON: times and bytes as text that says what it was. */
function plain(value: unknown): Json {
  if (value instanceof Date) return `time ${value.toISOString()}`;
  if (value instanceof Uint8Array) return `bytes ${Buffer.from(value).toString('base64')}`;
  if (Array.isArray(value)) return value.map(plain);
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, plain(item)]));
  return value === undefined ? null : (value as Json);
}
