// SPDX-License-Identifier: Apache-2.0
// Makes two Ignition configs comparable: contents as text, without the comments in what we word ourselves.

export interface RenderedConfig {
  readonly storage: { readonly files: readonly RenderedFile[] };
  readonly systemd: { readonly units: readonly { readonly name: string; readonly contents?: string }[] };
}

export interface RenderedFile {
  readonly path: string;
  readonly contents?: { readonly source: string };
}

/** Their comments are ours; what is in force is the stock provider's. */
const COMMENTED = new Set(['/etc/ntp.conf', '/etc/ssh/sshd_config', 'kubeadm.service']);

/** The config with every data URL decoded to latin1 text (a character a byte). */
export function byMeaning(config: RenderedConfig): object {
  return {
    ...config,
    storage: {
      ...config.storage,
      files: config.storage.files.map((file) => ({
        ...file,
        contents: { ...file.contents, source: meaning(file.path, decoded(file.contents?.source ?? '')) },
      })),
    },
    systemd: {
      units: config.systemd.units.map((unit) =>
        unit.contents === undefined ? unit : { ...unit, contents: meaning(unit.name, unit.contents) },
      ),
    },
  };
}

/** Bytes of the file at `path`. */
export function contentOf(config: RenderedConfig, path: string): Buffer {
  const source = config.storage.files.find((file) => file.path === path)?.contents?.source ?? '';
  return Buffer.from(decoded(source), 'latin1');
}

function decoded(source: string): string {
  if (!source.startsWith('data:,')) return source;
  return source
    .slice('data:,'.length)
    .replaceAll(/%([0-9A-F]{2})/g, (_, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

function meaning(name: string, text: string): string {
  if (!COMMENTED.has(name)) return text;
  return text
    .split('\n')
    .map((line) => line.replace(/(^|\s)#.*$/, ''))
    .filter((line) => line.trim() !== '')
    .join('\n');
}
