// SPDX-License-Identifier: Apache-2.0
import { MANIFEST_HEADER, MANIFEST_NAME } from '../artifacts/manifest.ts';
import type { PreparationInput } from '../input.ts';
import { ARTIFACTS_CA_FILE } from '../library/fetch.ts';
import { quote, sha256 } from '../shell.ts';
import type { PreparationStep } from '../step.ts';

/** Sets what the library's functions of artifacts need; nothing where packages are the source. */
export function artifactsPrefix({ spec }: PreparationInput): string {
  const artifacts = spec.source?.artifacts;
  return artifacts ? `artifacts=${quote(artifacts.baseURL.replace(/\/+$/, ''))}\n` : '';
}

/** The manifest is fetched once for each preparation: a host that is prepared anew must see what the server has now. */
export function artifactsSteps(input: PreparationInput): PreparationStep[] {
  const source = input.spec.source?.artifacts;
  if (!source) return [];
  const settings = [
    `manifest_sha256=${quote(source.manifestSHA256 ?? '')}`,
    `manifest_name=${MANIFEST_NAME}`,
    `authorities_sha256=${source.caBundle === undefined ? 'none' : sha256(source.caBundle)}`,
    `authorities=${quote(source.caBundle ?? '')}`,
    '',
  ].join('\n');
  return [
    {
      id: 'artifacts_manifest',
      impact: 'none',
      deadlineSeconds: 300,
      check: `${artifactsPrefix(input)}${settings}${CHECK}`,
      apply: `${artifactsPrefix(input)}${settings}${APPLY}`,
    },
  ];
}

const CHECK = String.raw`
[ "$(cat "$preparation/artifacts-source" 2>/dev/null)" = "$artifacts $authorities_sha256" ] && [ -s "$artifacts_manifest" ] || return 1
[ -z "$manifest_sha256" ] || [ "$(hash_of "$artifacts_manifest")" = "$manifest_sha256" ] || return 1
[ -n "$applied" ] || is_complete
`;

/** Words of the manifest become words of commands: a line with anything else in it is refused. */
const APPLY = String.raw`
make_state || unwritten "$preparation cannot be made"
if [ -n "$authorities" ]; then
  {
    for bundle in /etc/ssl/certs/ca-certificates.crt /etc/pki/tls/certs/ca-bundle.crt /etc/ssl/ca-bundle.pem; do
      if [ -s "$bundle" ]; then cat "$bundle"; break; fi
    done
    say "$authorities"
  } | put_state ${ARTIFACTS_CA_FILE} || unwritten '${ARTIFACTS_CA_FILE} cannot be written'
else
  rm -f -- ${ARTIFACTS_CA_FILE}
fi
fetch "$artifacts/$manifest_name" "$artifacts_manifest.got"
got=$(hash_of "$artifacts_manifest.got")
if [ -n "$manifest_sha256" ] && [ "$got" != "$manifest_sha256" ]; then
  rm -f -- "$artifacts_manifest.got"
  checksum_failed "$artifacts/$manifest_name" "$got" "$manifest_sha256"
fi
wrong=$(awk '
  NR == 1 { if ($0 != "${MANIFEST_HEADER}") { print "its first line is not \"${MANIFEST_HEADER}\""; exit } next }
  /^#/ || /^$/ { next }
  NF != 7 || length($1) != 64 || $1 !~ /^[0-9a-f]+$/ || $2 !~ /^[0-9]+$/ || $0 !~ /^[A-Za-z0-9._+:~^\/@%= -]+$/ || index($7, "..") || $7 ~ /^[\/-]/ || $4 ~ /^[\/-]/ {
    print "line " NR " is not one of a file"
    exit
  }' "$artifacts_manifest.got")
if [ -n "$wrong" ]; then
  rm -f -- "$artifacts_manifest.got"
  failed PreparationFailed "$(hide "$artifacts")/$manifest_name is not a manifest of artifacts: $wrong"
fi
if cmp -s "$artifacts_manifest.got" "$artifacts_manifest"; then
  rm -f -- "$artifacts_manifest.got"
else
  mv -f -- "$artifacts_manifest.got" "$artifacts_manifest"
fi
say "$artifacts $authorities_sha256" | put_state "$preparation/artifacts-source" || unwritten "$preparation cannot be written"
`;
