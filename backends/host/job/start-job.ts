// SPDX-License-Identifier: Apache-2.0
// Brings a job to a host and starts it: in two short runs the first time, in one afterwards.
import { randomBytes } from 'node:crypto';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { HostOwner } from '../../host-driver.ts';
import type { RemoteHost, RunResult } from '../ssh/remote-host.ts';
import { fileOf, type Job, jobFolder, planOf, STATE_FOLDER } from './job.ts';
import { redact, secretLines } from './redact.ts';
import { LOCK_FUNCTIONS, runnerScript } from './runner.ts';
import { quote, writeBytes } from './shell.ts';

/** A large upload over a slow line. */
const UPLOAD_MS = 60_000;

/** Programs that the runner calls; every distribution that Kubernetes runs on has them. */
const PROGRAMS = 'base64 sha256sum setsid env grep sed cut tail';

/**
 * Starts the job unless it has begun: a second call starts nothing, whoever makes it, also at the same instant. A job that lost its
 * runner (reboot) goes on where it was. TerminalError: HostClaimedElsewhere, HostUnsuitable. TransientError: try again.
 */
export async function startJob(
  ctx: Ctx,
  remote: RemoteHost,
  job: Job,
  stateFolder: string = STATE_FOLDER,
): Promise<void> {
  const answer = await ask(ctx, remote, job, lookScript(job, stateFolder));
  if (answer === 'absent') await ask(ctx, remote, job, uploadScript(job, stateFolder));
  else if (answer === 'stopped') await ask(ctx, remote, job, launchScript(job, stateFolder));
}

/** Another job ends sooner or later. */
const OTHER_JOB_MS = 5_000;

const ANSWERS = ['absent', 'stopped', 'busy', 'started'] as const;
type Answer = (typeof ANSWERS)[number];

async function ask(ctx: Ctx, remote: RemoteHost, job: Job, script: string): Promise<Answer> {
  // In braces, so that a part of it is never run.
  const result = await remote.run(ctx, `{\n${script}exit 0\n}\n`, { timeoutMs: UPLOAD_MS });
  const [, word = '', rest = ''] = /^ts-provider: (\S+) ?(.*)$/m.exec(result.stdout) ?? [];
  const answer = ANSWERS.find((one) => one === word);
  if (answer !== undefined) return answer;
  switch (word) {
    case 'foreign':
      throw new TerminalError('HostClaimedElsewhere', foreignMessage(rest, job.owner ?? job.onlyOf));
    case 'occupied':
      throw new TransientError(`the job ${redact(rest)} still works on the host`, {
        retryAfterMs: OTHER_JOB_MS,
      });
    case 'lacking':
      throw new TerminalError('HostUnsuitable', `the host has no ${redact(rest)}: install it`);
    default:
      throw new TransientError(`starting a job on the host: ${failure(result, job)}`);
  }
}

function failure({ exitCode, stderr }: RunResult, job: Job): string {
  const line = redact(stderr.split('\n').find((one) => one.trim() !== '') ?? '', job.secrets);
  const code = exitCode === undefined ? 'ended by a signal' : `exit code ${exitCode}`;
  return line === '' ? code : `${code}: ${line}`;
}

/** What to tell people of a host whose owner file says `seen`. */
export function foreignMessage(seen: string, owner: HostOwner | undefined): string {
  const other = /^([\w-]{1,64}) (\d{1,12})$/.exec(seen);
  const whose = other ? `claim ${other[1]} (generation ${other[2]})` : 'something unreadable';
  return (
    `${STATE_FOLDER}/owner on the host names ${whose}, not claim ${owner?.token} (generation ${owner?.generation}): ` +
    'release the other machine first, or clean the host'
  );
}

function lineOf(owner: HostOwner): string {
  if (!/^[\w-]{1,64}$/.test(owner.token) || !Number.isSafeInteger(owner.generation))
    throw new Error('job: its owner cannot be written');
  return `${owner.token} ${owner.generation}`;
}

/** Ends the script when the host belongs to somebody else. */
function checkOwner(job: Job): string {
  if (job.onlyOf !== undefined) return checkOnlyOf(job.onlyOf);
  if (job.owner === undefined) return '';
  return `
if [ -e "$state/owner" ] && [ "$(cat "$state/owner")" != ${quote(lineOf(job.owner))} ]; then
  echo "ts-provider: foreign $(head -n 1 "$state/owner" | cut -c 1-80)"
  exit 0
fi
`;
}

/** Ends the script when the host names another one. `$state` is the folder of the state. */
export function checkOnlyOf(owner: HostOwner): string {
  return `
seen=$(cat "$state/owner" 2>/dev/null | head -n 1 | cut -c 1-80)
if [ -n "$seen" ] && [ "$seen" != ${quote(lineOf(owner))} ]; then
  echo "ts-provider: foreign $seen"
  exit 0
fi
`;
}

/** Ends the script while another job works on the host. Is asked before {@link forgetOthers}; `is_locked` looks at `$d`. */
function checkAlone(job: Job): string {
  if (job.alone !== true) return '';
  return `
for d in "$state"/jobs/*; do
  [ -d "$d" ] && [ "\${d##*/}" != ${job.id} ] || continue
  if ! grep -qs '^done ' "$d/journal" && is_locked; then echo "ts-provider: occupied \${d##*/}"; exit 0; fi
done
d=$state/jobs/${job.id}
`;
}

function forgetOthers(job: Job): string {
  if (job.alone !== true) return '';
  return `
for other in "$state"/jobs/${job.id.split('-')[0]}-*; do
  if [ "\${other##*/}" != ${job.id} ]; then rm -rf -- "$other"; fi
done
`;
}

function lookScript(job: Job, stateFolder: string): string {
  return `d=${quote(jobFolder(job.id, stateFolder))}
state=${quote(stateFolder)}
for one in ${PROGRAMS}; do
  command -v "$one" >/dev/null 2>&1 || { echo "ts-provider: lacking $one"; exit 0; }
done
${checkOwner(job)}${LOCK_FUNCTIONS}${checkAlone(job)}
if ! [ -d "$d" ]; then echo 'ts-provider: absent'
elif grep -q '^done ' "$d/journal" 2>/dev/null || is_locked; then echo 'ts-provider: busy'
else echo 'ts-provider: stopped'
fi
`;
}

/**
 * All files are on the disk before the folder gets its name, in one step that fails when somebody else's is there already. The same
 * holds for the name of the owner.
 */
function uploadScript(job: Job, stateFolder: string): string {
  const fresh = quote(`${stateFolder}/jobs/.new-${randomBytes(8).toString('hex')}`);
  const folder = jobFolder(job.id, stateFolder);
  const files: [name: string, content: string][] = [
    ...job.steps.map((step, index): [string, string] => [`steps/${fileOf(index)}`, step.script]),
    ['plan', planOf(job.steps)],
    ['run', runnerScript(folder, job)],
    ['secrets', secretLines(job.secrets).join('\n') + '\n'],
  ];
  return `
umask 077
new=${fresh}
state=${quote(stateFolder)}
mkdir -p "$state/jobs" && chmod 700 "$state" && mkdir -p "$new/${job.id}/steps" || exit 1
trap 'rm -rf "$new"' EXIT
cd "$new/${job.id}" || exit 1
(
set -e
${files.map(([name, content]) => writeBytes(name, content)).join('')}
) || exit 1
${writeOwner(job)}
sync -f . 2>/dev/null || sync
${checkOwner(job)}${job.alone === true ? LOCK_FUNCTIONS + checkAlone(job) + forgetOthers(job) : ''}
mv "$new/${job.id}" "$state/jobs/" 2>/dev/null || [ -d "$state/jobs/${job.id}" ] || { echo 'cannot name the folder of the job' >&2; exit 1; }
cd /
${launchScript(job, stateFolder)}`;
}

function writeOwner(job: Job): string {
  if (job.owner === undefined) return '';
  return `
echo ${quote(lineOf(job.owner))} >"$new/owner" || exit 1
[ -e "$state/owner" ] || ln "$new/owner" "$state/owner" 2>/dev/null || [ -e "$state/owner" ] || { echo 'cannot write the owner' >&2; exit 1; }
`;
}

/** Runs on without us: as a unit of systemd where that is the first process, else in a session of its own. */
function launchScript(job: Job, stateFolder: string): string {
  return `
d=${quote(jobFolder(job.id, stateFolder))}
if [ -d /run/systemd/system ] && command -v systemd-run >/dev/null 2>&1; then
  unit=${quote(`ts-provider-${job.id}.service`)}
  systemctl is-active --quiet "$unit" || systemd-run --quiet --collect --unit="$unit" --property=KillMode=process \\
    --property=TasksMax=infinity /bin/sh "$d/run" >/dev/null || systemctl is-active --quiet "$unit" || exit 1
else
  setsid /bin/sh "$d/run" </dev/null >/dev/null 2>&1 &
fi
echo 'ts-provider: started'
`;
}
