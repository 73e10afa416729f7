// SPDX-License-Identifier: Apache-2.0
import type { HostOwner } from '../../host-driver.ts';
import type { Job } from '../job/job.ts';
import { PRELUDE } from '../traces.ts';
import { INSTALLED_FILE, installJobID } from './apply-script.ts';

/** Mirrors may be slow, and another package manager may be at work. */
const TIMEOUT_SECONDS = 10 * 60;

/** Old lists often do: a mirror that does not answer is no failure yet. The mark comes first, so that nothing is left behind unmarked. */
const INSTALL = `${PRELUDE}
mkdir -p ${INSTALLED_FILE.replace(/\/[^/]*$/, '')} && : >${INSTALLED_FILE} || exit 1
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
if have apt-get; then
  lock='-o DPkg::Lock::Timeout=300'
  apt-get --quiet $lock -o Acquire::http::Timeout=15 update || true
  apt-get --quiet --yes $lock --no-install-recommends -o Dpkg::Options::=--force-confold install haproxy
elif have dnf; then dnf --assumeyes install haproxy
elif have yum; then yum --assumeyes install haproxy
elif have zypper; then zypper --non-interactive install haproxy
else
  echo 'error: there is no apt-get, dnf, yum or zypper'
  exit 1
fi || exit 1
have haproxy || { echo 'error: the package has no program haproxy'; exit 1; }
`;

/** Installs HAProxy from the distribution. */
export function installJob(owner: HostOwner, attempt: number): Job {
  const install = { id: 'install', stage: 'install', script: INSTALL, repeatable: true } as const;
  return {
    id: installJobID(owner.generation, attempt),
    owner,
    steps: [{ ...install, onFailure: 'stop' }],
    timeoutSeconds: TIMEOUT_SECONDS,
    secrets: [],
  };
}
