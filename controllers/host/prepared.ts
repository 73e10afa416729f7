// SPDX-License-Identifier: Apache-2.0
// Whether a host carries the software that its Machine asks for.
import type { HostSoftware } from '../../api/tshost-status.ts';

/**
 * What is missing on the host for a Machine of `version`; '' when it is prepared. kubeadm and kubelet must be of the Machine's minor.
 * Another patch release of it will do, since kubeadm takes it and packages of hosts are often a little ahead.
 */
export function notPrepared(software: HostSoftware, version: string | undefined): string {
  const missing = (['containerd', 'kubeadm', 'kubelet'] as const).filter(
    (name) => software[name] === undefined,
  );
  if (missing.length > 0)
    return `The host has no ${missing.join(', no ')}; install what the Machine needs, or take another host`;
  const wanted = minorOf(version);
  const wrong = (['kubeadm', 'kubelet'] as const).filter(
    (name) => wanted !== undefined && minorOf(software[name]) !== wanted,
  );
  if (wrong.length === 0) return '';
  const there = wrong.map((name) => `${name} ${software[name] ?? ''}`).join(' and ');
  return `The host has ${there} where the Machine asks for ${version ?? ''}; install version ${wanted ?? ''}, or take another host`;
}

/** The tools whose patch release is not the one that was asked for, for people; '' when there are none. */
export function patchDifference(software: HostSoftware, version: string | undefined): string {
  if (version === undefined) return '';
  const other = (['kubeadm', 'kubelet'] as const).filter(
    (name) => withoutBuild(software[name]) !== withoutBuild(version),
  );
  const there = other.map((name) => `${name} ${software[name] ?? ''}`).join(' and ');
  return there === ''
    ? ''
    : `The host has ${there} where the Machine asks for ${version}; the minor is the same`;
}

/** What is there instead of exactly `version`, on a host that was prepared for it; '' when nothing is. */
export function notExactly(software: HostSoftware, version: string): string {
  const wrong = (['kubeadm', 'kubelet'] as const).filter(
    (name) => withoutBuild(software[name]) !== withoutBuild(version),
  );
  const there = wrong.map((name) => `${name} ${software[name] ?? 'is missing'}`).join(' and ');
  return there === ''
    ? ''
    : `The host was prepared for ${version}, and has ${there}: somebody has changed it, or a program of another place is found first; take it away, or delete the Machine to have another host taken`;
}

/** `1.36` of `v1.36.3`. */
function minorOf(version: string | undefined): string | undefined {
  return /^v?(\d+\.\d+)\./.exec(version ?? '')?.[1];
}

/** `1.36.3` of `v1.36.3+k3s1`. */
function withoutBuild(version: string | undefined): string {
  return (version ?? '').replace(/^v/, '').replace(/\+.*$/, '');
}
