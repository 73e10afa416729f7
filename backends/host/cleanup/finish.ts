// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { HostOwner } from '../../host-driver.ts';
import { STATE_FOLDER } from '../job/job.ts';
import { LOCK_FUNCTIONS } from '../job/runner.ts';
import { checkOnlyOf, foreignMessage } from '../job/start-job.ts';
import type { RemoteHost } from '../ssh/remote-host.ts';
import { PRELUDE } from '../traces.ts';
import { REMOVAL } from './removal.ts';

/** Journals, logs, the manifest and the owner. A job that has not ended and still has its lock runs. */
const finishScript = (owner: HostOwner | undefined) =>
  [
    PRELUDE,
    REMOVAL,
    LOCK_FUNCTIONS,
    `state=${STATE_FOLDER}\n`,
    owner === undefined ? '' : checkOnlyOf(owner),
    String.raw`
for d in "$state"/jobs/*; do
  [ -d "$d" ] || continue
  if ! grep -qs '^done ' "$d/journal" && is_locked; then
    echo "running ${'$'}{d##*/}"
    exit 3
  fi
done
# Software that stayed although its preparation never came to its end: what is known of it stays as well, and keeps the host out of the pool.
if [ -e "$state/preparation/incomplete" ] && [ -s "$state/preparation/installed" ]; then
  for entry in "$state"/* "$state"/.[!.]*; do
    if [ "$entry" != "$state/preparation" ]; then remove "$entry"; fi
  done
  [ ! -e "$state/owner" ]
  exit
fi
remove "$state" && [ ! -e "$state" ]
`,
  ].join('');

const RUNNING = 3;

/**
 * Takes away what jobs leave of themselves on a host. TransientError while a job runs there, or when something cannot be removed;
 * TerminalError(HostClaimedElsewhere) when the host names another owner than the one given.
 */
export async function finishClean(ctx: Ctx, remote: RemoteHost, owner?: HostOwner): Promise<void> {
  const { exitCode, stdout } = await remote.run(ctx, finishScript(owner));
  const seen = /^ts-provider: foreign (.*)$/m.exec(stdout)?.[1];
  if (seen !== undefined) throw new TerminalError('HostClaimedElsewhere', foreignMessage(seen, owner));
  if (exitCode === 0) return;
  const job = /^running ([a-z0-9-]{1,63})$/m.exec(stdout)?.[1];
  throw new TransientError(
    exitCode === RUNNING && job !== undefined
      ? `${STATE_FOLDER} stays on the host while the job ${job} runs`
      : `${STATE_FOLDER} on the host cannot be removed`,
  );
}
