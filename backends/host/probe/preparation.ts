// SPDX-License-Identifier: Apache-2.0
// What the host says of its preparation, and what of it is not as it was left.
import type { Impact } from '../../../preparation/step.ts';
import type { Drift, HostFacts, HostPreparationReport } from '../../host-driver.ts';
import type { ProbeLines } from './lines.ts';

/** Where a preparation writes down how far it is. */
export const PREPARATION_FOLDER = '/var/lib/ts-provider/preparation';

/** Kubelets and runtimes are large: so long may reading everything take. */
const HASH_SECONDS = 10;

/**
 * One run of sha256sum over all that was laid down. A path may be of several steps, each in a line of its own. Prints `drift <impact> <step>
 * <path>`.
 */
export const PROBE_PREPARATION = String.raw`
preparation=${PREPARATION_FOLDER}
if [ -s "$preparation/incomplete" ]; then say "begun $(head -n 1 "$preparation/incomplete" | cut -c 1-100)"; fi
if [ -s "$preparation/complete" ]; then say "complete $(head -n 1 "$preparation/complete" | cut -c 1-100)"; fi
if [ -s "$preparation/laid" ]; then
  checked=$(awk '{ sum = $3; sub(/^[^ ]+ [^ ]+ [^ ]+ /, ""); print sum "  " $0 }' "$preparation/laid" | sort -u |
    bounded ${HASH_SECONDS} sha256sum -c 2>/dev/null; say "ended $?")
  case "${'$'}{checked##*ended }" in
    0) ;;
    1)
      bad=$(say "$checked" | sed -n 's/: FAILED.*$//p')
      while read -r impact step sum path; do
        if say "$bad" | grep -Fqx -- "$path"; then say "drift $impact $step $path"; fi
      done <"$preparation/laid" | head -n 50 ;;
    # Nobody knows: that is not the same as nothing.
    *) say 'drift disruptive probe what was laid down cannot be read in time' ;;
  esac
fi
`;

/** Prints `unverified <endpoint>` for each registry whose certificate is not looked at, however that came into the configuration. */
export const PROBE_REGISTRIES = String.raw`
for file in /etc/containerd/certs.d/*/hosts.toml; do
  [ -r "$file" ] || continue
  awk '/^(server *=|\[host\.)/ { split($0, part, "\""); host = part[2] } /^ *skip_verify *= *true/ { print "unverified " host }' "$file"
done | sort -u | head -n 20
`;

const IMPACTS: readonly Impact[] = ['none', 'restart', 'disruptive'];

/** `undefined`: nothing was prepared. `software` is what the programs say of themselves. */
export function parsePreparation(
  lines: ProbeLines,
  { software }: Pick<HostFacts, 'software'>,
): HostPreparationReport | undefined {
  const begun = lines.first('begun');
  const [hash = begun, version = ''] = (lines.first('complete') ?? '')
    .split(' ')
    .filter((word) => word !== '');
  if (hash === undefined) return undefined;
  const complete = version !== '' && begun === undefined;
  const drifted = [
    ...changed(lines),
    ...(version === '' ? [] : otherVersions(software, version)),
    ...(complete ? [] : [UNFINISHED]),
  ];
  const unverified = lines.all('unverified').filter((endpoint) => endpoint !== '');
  return {
    hash,
    version,
    complete,
    drifted: drifted.sort(byPath),
    ...(unverified.length > 0 && { unverified }),
  };
}

const UNFINISHED: Drift = {
  step: 'complete',
  impact: 'none',
  path: 'it has begun, and has not come to its end',
};

function changed(lines: ProbeLines): Drift[] {
  return lines.all('drift').flatMap((line): Drift[] => {
    const [word = '', step = '', ...rest] = line.split(' ');
    const impact = IMPACTS.find((one) => one === word);
    const path = rest.join(' ');
    return impact === undefined || path === '' ? [] : [{ step, impact, path }];
  });
}

/** A package may have been replaced behind its hold. */
function otherVersions(software: HostFacts['software'], version: string): Drift[] {
  return (['kubelet', 'kubeadm'] as const)
    .filter((name) => software[name] !== version)
    .map((name) => ({
      step: 'kubernetes',
      impact: 'disruptive',
      path: `${name} ${software[name] ?? 'is missing'}, not ${version}`,
    }));
}

function byPath(a: Drift, b: Drift): number {
  return a.path < b.path ? -1 : Number(a.path > b.path);
}
