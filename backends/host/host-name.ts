// SPDX-License-Identifier: Apache-2.0
import type { Step } from './job/job.ts';
import { quote } from './job/shell.ts';
import { HOSTS_MARKER, PRELUDE } from './traces.ts';

const ADDRESS = /^[0-9A-Fa-f.:]+$/;

/**
 * Makes the host's own name resolve, without asking anybody: a kubelet and every pod that starts look it up, and a name server that does
 * not answer costs them ten seconds each time, until kubeadm gives up. A name that resolves at once stays as it is. The line in
 * /etc/hosts carries a marker, by which the clean-up finds it. `undefined` for a node address that is a name itself.
 */
export function hostNameStep(nodeAddress: string): Step | undefined {
  if (!ADDRESS.test(nodeAddress)) return undefined;
  return {
    id: 'host-name',
    stage: 'host_name',
    script: script(nodeAddress),
    repeatable: true,
    onFailure: 'continue',
  };
}

function script(address: string): string {
  return String.raw`${PRELUDE}
name=$(uname -n)
listed() { awk -v name="$1" '{ sub(/#.*/, ""); for (i = 2; i <= NF; i++) if ($i == name) found = 1 } END { exit !found }' /etc/hosts 2>/dev/null; }
if listed "$name"; then exit 0; fi
# Twice, so that it is known to be quick whenever it is asked for.
if have getent && bounded 2 getent hosts "$name" >/dev/null 2>&1 && bounded 1 getent hosts "$name" >/dev/null 2>&1; then exit 0; fi
if [ -s /etc/hosts ] && [ -n "$(tail -c 1 /etc/hosts)" ]; then echo >>/etc/hosts; fi
printf '%s %s %s\n' ${quote(address)} "$name" ${quote(HOSTS_MARKER)} >>/etc/hosts
echo "the name $name did not resolve: added to /etc/hosts"
`;
}
