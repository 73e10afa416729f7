// SPDX-License-Identifier: Apache-2.0
// Bootstrap data as its consumer understands it: parsed, decoded, and with kubeadm's documents parsed within.
import { gunzipSync } from 'node:zlib';
import { parseAllDocuments, parseDocument } from 'yaml';

/** A JSON value. */
export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** Files with YAML that a program reads. */
const KUBEADM_FILES = [
  '/run/kubeadm/kubeadm.yaml',
  '/run/kubeadm/kubeadm-join-config.yaml',
  '/etc/kubeadm.yml',
];

/** Exists so that its folder does; what it says to who looks is everybody's own. */
const PLACEHOLDER = '/run/cluster-api/placeholder';

/** Files whose comments are everybody's own. */
const COMMENTED_FILES = new Set(['/etc/ssh/sshd_config', '/etc/ntp.conf']);

/**
 * What cloud-init, or Ignition, would read. What cannot be parsed is told as `unparsable`, not thrown. Files of `yamlFiles` are
 * parsed too, as kubeadm's are.
 */
export function parsePayload(format: string, text: string, yamlFiles: readonly string[] = []): Json {
  const parsed = new Set([...KUBEADM_FILES, ...yamlFiles]);
  return format === 'ignition' ? ignition(text, parsed) : cloudConfig(text, parsed);
}

function cloudConfig(text: string, parsed: ReadonlySet<string>): Json {
  const header = text.split('\n', 2);
  // PyYAML, which cloud-init reads with, knows YAML 1.1 and lets the last of two equal keys win.
  const document = parseDocument(text, { version: '1.1', uniqueKeys: false });
  const [error] = document.errors;
  if (error !== undefined) return { unparsable: `cloud-config: ${error.code}` };
  const content = plain(document.toJS()) as Record<string, Json> | null;
  if (content === null || typeof content !== 'object' || Array.isArray(content))
    return { unparsable: 'cloud-config: not an object' };
  const { write_files: files = [], ...rest } = content;
  return { header, ...rest, write_files: (files as Json[]).map((file) => writtenFile(file, parsed)) };
}

function writtenFile(file: Json, parsed: ReadonlySet<string>): Json {
  const { path, content, ...rest } = file as Record<string, Json>;
  const bytes = decoded(textOf(content), textOf(rest['encoding']));
  return { path: path ?? null, ...rest, content: fileContent(textOf(path), bytes, parsed) };
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

/** Files by path and units by name: their order means nothing. */
function ignition(text: string, parsed: ReadonlySet<string>): Json {
  let config: Record<string, Json>;
  try {
    config = JSON.parse(text) as Record<string, Json>;
  } catch {
    return { unparsable: 'ignition: not JSON' };
  }
  const storage = (config['storage'] ?? {}) as Record<string, Json>;
  const systemd = (config['systemd'] ?? {}) as Record<string, Json>;
  const files = ((storage['files'] ?? []) as Json[]).map((file) => ignitionFile(file, parsed));
  const units = ((systemd['units'] ?? []) as Json[]).map(ignitionUnit);
  return {
    ...config,
    storage: { ...storage, files: by('path', files) },
    systemd: { ...systemd, units: by('name', units) },
  };
}

/** '' for what is absent; a number as YAML or JSON has it. */
function textOf(value: Json | undefined): string {
  if (value === undefined || value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}

/** A second one of a name gets a name of its own. */
function by(key: string, items: readonly Record<string, Json>[]): Json {
  const found: Record<string, Json> = {};
  for (const item of items) {
    let name = textOf(item[key]);
    while (name in found) name += ' again';
    found[name] = item;
  }
  return found;
}

function ignitionUnit(unit: Json): Record<string, Json> {
  const { contents, ...rest } = unit as Record<string, Json>;
  return contents === undefined
    ? rest
    : { ...rest, contents: withoutComments(textOf(contents)).replaceAll(' = ', '=') };
}

function ignitionFile(file: Json, parsed: ReadonlySet<string>): Record<string, Json> {
  const { path, contents, ...rest } = file as Record<string, Json>;
  const { source, ...more } = (contents ?? {}) as Record<string, Json>;
  const data = dataURL(textOf(source));
  const bytes = more['compression'] === 'gzip' && data !== undefined ? gunzipSync(data) : data;
  const seen = bytes === undefined ? (source ?? null) : fileContent(textOf(path), bytes, parsed);
  return { path: path ?? null, ...rest, contents: { ...more, source: seen } };
}

function withoutComments(text: string): string {
  const lines = text.split('\n').map((line) => line.replace(/(^|\s+)#.*$/, ''));
  return lines.filter((line) => line !== '').join('\n');
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

function fileContent(path: string, bytes: Buffer, parsed: ReadonlySet<string>): Json {
  if (path === PLACEHOLDER) return 'whatever';
  const text = bytes.toString('utf8');
  if (!Buffer.from(text).equals(bytes)) return { base64: bytes.toString('base64') };
  if (COMMENTED_FILES.has(path)) return withoutComments(text);
  return parsed.has(path) ? { documents: documentsOf(text) } : text;
}

/** Whether the bytes begin as a gzip stream does. */
export function isGzip(bytes: Buffer): boolean {
  return bytes[0] === 0x1f && bytes[1] === 0x8b;
}

/** YAML documents in their order; an empty one, from a separator with nothing after it, counts for nothing. */
function documentsOf(text: string): Json[] {
  return parseAllDocuments(text, { version: '1.1' }).flatMap((document) => {
    const [error] = document.errors;
    if (error !== undefined) return [{ unparsable: `document: ${error.code}` }];
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
