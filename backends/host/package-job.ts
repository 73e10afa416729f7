// SPDX-License-Identifier: Apache-2.0
// Installs one program from the distribution, by a job of its own.
import type { Ctx } from '../../runtime/context.ts';
import { TerminalError, TransientError } from '../../runtime/errors.ts';
import type { HostOwner } from '../host-driver.ts';
import { type Job, jobFolder, STATE_FOLDER } from './job/job.ts';
import { jobProgress } from './job/progress.ts';
import { startJob } from './job/start-job.ts';
import type { RemoteHost } from './ssh/remote-host.ts';
import { PRELUDE } from './traces.ts';

/** Mirrors may be slow, and another package manager may be at work. */
const TIMEOUT_SECONDS = 10 * 60;

/** Most packages are there by then, and whoever waits is no slower for it than by asking again. */
const INSTALL_WAIT_SECONDS = 2;
const INSTALL_RETRY_MS = 2_000;

/** A program whose package has its name, as all distributions have it. */
export interface Installable {
  /** `haproxy`. */
  readonly program: string;
  /** For people, such as `HAProxy`. */
  readonly title: string;
  /** File that is there when we installed the package, for the clean-up to take it away. */
  readonly installedFile: string;
  /** Of the TerminalError when it cannot be installed. */
  readonly reason: string;
}

/** Id of the installing job: its attempts are counted by what is on the host. */
export function installJobID(program: string, generation: number, attempt: number): string {
  return `${program}-${generation}-${attempt}`;
}

/** Old lists often do: a mirror that does not answer is no failure yet. The mark comes first, so that nothing is left behind unmarked. */
function installScript({ program, installedFile }: Installable): string {
  return `${PRELUDE}
mkdir -p ${installedFile.replace(/\/[^/]*$/, '')} && : >${installedFile} || exit 1
DEBIAN_FRONTEND=noninteractive
export DEBIAN_FRONTEND
if have apt-get; then
  lock='-o DPkg::Lock::Timeout=300'
  apt-get --quiet $lock -o Acquire::http::Timeout=15 update || true
  apt-get --quiet --yes $lock --no-install-recommends -o Dpkg::Options::=--force-confold install ${program}
elif have dnf; then dnf --assumeyes install ${program}
elif have yum; then yum --assumeyes install ${program}
elif have zypper; then zypper --non-interactive install ${program}
else
  echo 'error: there is no apt-get, dnf, yum or zypper'
  exit 1
fi || exit 1
have ${program} || { echo 'error: the package has no program ${program}'; exit 1; }
`;
}

function installJob(what: Installable, owner: HostOwner, attempt: number): Job {
  const install = { id: 'install', stage: 'install', script: installScript(what), repeatable: true } as const;
  return {
    id: installJobID(what.program, owner.generation, attempt),
    owner,
    steps: [{ ...install, onFailure: 'stop' }],
    timeoutSeconds: TIMEOUT_SECONDS,
    secrets: [],
  };
}

/**
 * Goes on with the installation where it runs, else starts another: `attempts` is how many there were. A call waits a moment for it, then
 * throws TransientError and the next one goes on. TerminalError when it cannot be installed.
 */
export async function installPackage(
  ctx: Ctx,
  remote: RemoteHost,
  what: Installable & { readonly owner: HostOwner; readonly attempts: number },
): Promise<void> {
  const { program, title, owner, attempts } = what;
  const idOf = (attempt: number) => installJobID(program, owner.generation, attempt);
  const last = attempts > 0 ? await jobProgress(ctx, remote, idOf(attempts)) : undefined;
  const goesOn = last?.state === 'running';
  const attempt = goesOn ? attempts : attempts + 1;
  await startJob(ctx, remote, installJob(what, owner, attempt));
  await waitFor(ctx, remote, idOf(attempt));
  const progress = await jobProgress(ctx, remote, idOf(attempt));
  if (progress.state === 'succeeded') return;
  if (progress.state === 'failed') {
    const message = `${title} cannot be installed: ${progress.message}. Install it on the host by hand, or mend that: it is tried again`;
    throw new TerminalError(what.reason, message);
  }
  throw new TransientError(`${title} is being installed on the host`, { retryAfterMs: INSTALL_RETRY_MS });
}

/** On the host itself: one run and no timer of ours. */
async function waitFor(ctx: Ctx, remote: RemoteHost, id: string): Promise<void> {
  const journal = `${jobFolder(id, STATE_FOLDER)}/journal`;
  const script = `n=0
while [ $n -lt ${INSTALL_WAIT_SECONDS} ] && ! grep -qs '^done ' ${journal}; do
  sleep 1
  n=$((n + 1))
done
`;
  await remote.run(ctx, script);
}
