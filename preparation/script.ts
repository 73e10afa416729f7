// SPDX-License-Identifier: Apache-2.0
// The scripts that a preparation becomes.
import { Buffer } from 'node:buffer';
import { LIBRARY } from './library.ts';
import type { PreparationStep } from './step.ts';

/** What scripts are made of; `Preparation` is one. */
export interface Planned {
  readonly steps: readonly PreparationStep[];
  /** 16 hex digits. */
  readonly hash: string;
}

/**
 * One step as a script that needs nothing else: checks, applies unless all is in place, checks again, and notes what was laid down.
 * Exit codes are those of `failed` in the library; a script may be ended at any line and run again.
 */
export function stepScript(step: PreparationStep, hash: string): string {
  return scriptOf([step], hash);
}

/** All steps as one script, which ends with the first that fails. */
export function planScript({ steps, hash }: Planned): string {
  return scriptOf(steps, hash);
}

/** A part of a cloud-config: a first boot that prepares the machine before anything that is listed behind it. */
export interface CloudConfigPart {
  readonly write_files: readonly {
    readonly path: string;
    readonly owner: string;
    readonly permissions: string;
    readonly encoding: 'b64';
    readonly content: string;
  }[];
  readonly runcmd: readonly (readonly string[])[];
}

/** Where a first boot finds the script; it may hold secrets, and a boot takes it away. */
const FIRST_BOOT_SCRIPT = '/run/ts-provider-prepare';

/** The same as {@link planScript} for images of clouds that have no kubeadm yet. */
export function cloudConfigPart(planned: Planned): CloudConfigPart {
  return {
    write_files: [
      {
        path: FIRST_BOOT_SCRIPT,
        owner: 'root:root',
        permissions: '0600',
        encoding: 'b64',
        content: Buffer.from(planScript(planned)).toString('base64'),
      },
    ],
    runcmd: [
      ['/bin/sh', FIRST_BOOT_SCRIPT],
      ['rm', '-f', FIRST_BOOT_SCRIPT],
    ],
  };
}

function scriptOf(steps: readonly PreparationStep[], hash: string): string {
  if (!/^[0-9a-f]{16}$/.test(hash)) throw new Error('a preparation has a hash of 16 hex digits');
  const functions = steps.map(
    ({ id, check, apply }) => `${shellFunction('check', id, check)}${shellFunction('apply', id, apply)}`,
  );
  const walk = steps.map(({ id, impact }) => `take ${id} ${impact}\n`);
  // One command of the shell: a script that was cut off on its way does nothing.
  return `#!/bin/sh\n{\nplan_hash=${hash}\n${LIBRARY}${functions.join('')}${walk.join('')}exit 0\n}\n`;
}

function shellFunction(verb: 'check' | 'apply', id: string, body: string): string {
  if (!/^[a-z][a-z0-9_]*$/.test(id)) throw new Error(`a step cannot be called ${JSON.stringify(id)}`);
  return `${verb}_${id}() {\n:\n${body.endsWith('\n') ? body : `${body}\n`}}\n`;
}

/**
 * Removes the software that a preparation put on the machine and did not come to the end of; after a complete one it does nothing. Runs
 * before the records below /var/lib/ts-provider are removed, when nothing of Kubernetes runs any more. May be run again.
 */
export const installedRemoval = `{
plan_hash=
${LIBRARY}${String.raw`
# All that dpkg complains of is that.
is_needed() {
  printf '%s\n' "$package_said" |
    awk '/error processing/ { errors++ } /dependency problems - not removing/ { needed++ } END { exit !(errors > 0 && errors == needed) }'
}
remove_packages() {
  [ "$#" -gt 0 ] || return 0
  mend_packages
  release_hold "$@"
  case "$family" in
    # Unlike apt, it leaves what somebody else's packages have come to need.
    debian) package_run 'removing packages' env DEBIAN_FRONTEND=noninteractive dpkg --purge "$@" || is_needed ;;
    rhel) package_run 'removing packages' "$(rpm_tool)" -y -q --disablerepo='*' remove "$@" ;;
    suse) package_run 'removing packages' zypper --non-interactive --no-color --no-refresh --disable-repositories remove --clean-deps "$@" ;;
  esac
}
removed=0
if [ -e "$preparation/incomplete" ] && [ -s "$preparation/installed" ]; then
  if has_systemd; then
    for service in kubelet containerd crio; do
      if grep -Eq "^(file .*/$service|package ($service|containerd.io|cri-o))$" "$preparation/installed"; then
        systemctl disable --now "$service" >/dev/null 2>&1
      fi
    done
  fi
  # Files first: dpkg cannot work on a disk that is full.
  sed -n 's/^file //p' "$preparation/installed" | while IFS= read -r path; do
    rm -f -- "$path" "$path.part"
  done
  # The innermost first.
  sed -n 's/^folder //p' "$preparation/installed" | sort -r | while IFS= read -r path; do
    [ ! -d "$path" ] || rmdir -- "$path" 2>/dev/null
  done
  set --
  for name in $(sed -n 's/^package //p' "$preparation/installed"); do
    if package_version "$name" >/dev/null; then set -- "$@" "$name"; fi
  done
  remove_packages "$@" || removed=1
  [ "$removed" != 0 ] || rm -f -- "$preparation/installed"
fi
exit "$removed"
`}}
`;
