// SPDX-License-Identifier: Apache-2.0
// Packages of a distribution, from a folder that somebody has filled.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ArtifactError, reasonOf } from './errors.ts';
import type { Planned } from './bundle-folder.ts';

/** A package, and where it is now. */
export interface PackageFile {
  readonly artifact: Planned;
  readonly source: string;
}

/** `conntrack_1%3a1.4.7-1+b2_amd64.deb`: a colon of the version is written as `%3a` by apt. */
const DEB = /^([a-z0-9][a-z0-9+.-]+)_([A-Za-z0-9.+~%-]+)_([a-z0-9]+)\.deb$/;
/** `conntrack-tools-1.4.7-4.el9.x86_64.rpm` */
const RPM = /^(.+)-([^-]+-[^-]+)\.([a-z0-9_]+)\.rpm$/;

const ARCHITECTURE_NAMES: Readonly<Record<string, string>> = {
  ...{ amd64: 'amd64', x86_64: 'amd64', arm64: 'arm64', aarch64: 'arm64' },
  ...{ all: 'any', noarch: 'any' },
};

/** All .deb and .rpm files right in a folder. Throws ArtifactError: none is there, or one is not for the platform. */
export function packagesIn(folder: string, platform: string): PackageFile[] {
  const names = entriesOf(folder).filter((name) => /\.(deb|rpm)$/.test(name));
  if (names.length === 0) {
    throw new ArtifactError(
      `${folder}: no .deb or .rpm file is there; fill it with "apt-get download" or "dnf download --resolve" on a machine with ${platform}`,
    );
  }
  return names.map((name) => ({ artifact: packageOf(name, platform), source: join(folder, name) }));
}

function entriesOf(folder: string): string[] {
  try {
    return readdirSync(folder).sort();
  } catch (error) {
    throw new ArtifactError(`${folder}: ${reasonOf(error)}`, { cause: error });
  }
}

/** Throws ArtifactError when the name is not what package managers call their files. */
export function packageOf(fileName: string, platform: string): Planned {
  const [, name, version, architecture = ''] = (fileName.endsWith('.deb') ? DEB : RPM).exec(fileName) ?? [];
  if (name === undefined || version === undefined) {
    throw new ArtifactError(
      `${fileName}: not the name of a package; it is like name_version_architecture.deb`,
    );
  }
  const of = ARCHITECTURE_NAMES[architecture] ?? architecture;
  if (of !== 'any' && !platform.endsWith(`-${of}`)) {
    throw new ArtifactError(`${fileName}: for ${architecture}, but the platform is ${platform}`);
  }
  return {
    kind: 'package',
    name,
    version: version.replaceAll('%3a', ':'),
    platform,
    // A name that is the same in a URL and on every file system.
    path: `packages/${platform}/${fileName.replaceAll('%3a', '-')}`,
  };
}
