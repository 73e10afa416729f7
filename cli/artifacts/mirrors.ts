// SPDX-License-Identifier: Apache-2.0
// Other places for what upstream hosts have: `--mirror dl.k8s.io=https://mirror.example.org/k8s`.
import { UsageError } from '../manifests.ts';

/** A registry that answers the distribution protocol. */
export interface RegistryPlace {
  /** `https://host:port` */
  readonly origin: string;
  /** Stands before every repository; empty, or with a `/` at its end. */
  readonly prefix: string;
}

export interface Mirrors {
  /** Where a file of an upstream host is fetched from. */
  url(upstream: string): string;
  /** Where images of a registry, such as `registry.k8s.io`, are pulled from. */
  registry(host: string): RegistryPlace;
}

const HOST = /^[A-Za-z0-9.-]+(:\d+)?$/;

/** Reads `host=URL` words. Throws UsageError. */
export function mirrorsOf(words: readonly string[]): Mirrors {
  const places = new Map(words.map(parse));
  return {
    url(upstream) {
      const { host, pathname } = new URL(upstream);
      const place = places.get(host);
      return place === undefined ? upstream : `${place.href.replace(/\/$/, '')}${pathname}`;
    },
    registry(host) {
      const place = places.get(host);
      // The only registry whose name is not where it is.
      if (place === undefined)
        return { origin: `https://${host === 'docker.io' ? 'registry-1.docker.io' : host}`, prefix: '' };
      return registryPlace(place.href);
    },
  };
}

/** `https://host:port/prefix`. Throws UsageError. */
export function registryPlace(text: string): RegistryPlace {
  const { protocol, origin, pathname } = urlOf(text);
  if (protocol === 'file:')
    throw new UsageError(`${text}: images come from a registry, or from --image-archives`);
  const prefix = pathname.replace(/^\/+|\/+$/g, '');
  return { origin, prefix: prefix === '' ? '' : `${prefix}/` };
}

function parse(word: string): [string, URL] {
  const at = word.indexOf('=');
  const host = word.slice(0, at);
  if (at < 1 || !HOST.test(host)) {
    throw new UsageError(`--mirror ${word}: write it like dl.k8s.io=https://mirror.example.org/k8s`);
  }
  return [host, urlOf(word.slice(at + 1))];
}

function urlOf(text: string): URL {
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined || !['http:', 'https:', 'file:'].includes(url.protocol)) {
    throw new UsageError(
      `${JSON.stringify(text)} is not a URL; write it like https://mirror.example.org:5000`,
    );
  }
  if (url.username !== '' || url.password !== '') {
    throw new UsageError(`${url.host}: no credentials in URLs, they would be in the list of processes`);
  }
  return url;
}
