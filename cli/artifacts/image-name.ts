// SPDX-License-Identifier: Apache-2.0
import { UsageError } from '../manifests.ts';

/** `registry.k8s.io/coredns/coredns:v1.14.2` in its parts. */
export interface ImageName {
  /** `registry.k8s.io`, with a port if it has one. */
  readonly registry: string;
  readonly repository: string;
  readonly tag: string;
  readonly text: string;
}

const COMPONENT = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const NAME = new RegExp(
  `^([A-Za-z0-9.-]+(?::\\d+)?)/(${COMPONENT}(?:/${COMPONENT})*):([A-Za-z0-9_][A-Za-z0-9._-]{0,127})$`,
);

/** Whole names only: what is not said here is taken from somewhere else by every program. Throws UsageError. */
export function imageName(text: string): ImageName {
  const [, registry = '', repository = '', tag = ''] = NAME.exec(text) ?? [];
  const isHost = registry === 'localhost' || /[.:]/.test(registry);
  if (!isHost) {
    throw new UsageError(
      `${JSON.stringify(text)}: write the whole name with registry and tag, such as docker.io/library/busybox:1.37`,
    );
  }
  return { registry, repository, tag, text };
}
