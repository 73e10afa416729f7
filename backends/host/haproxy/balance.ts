// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { HostOwner, LoadBalancerConfig } from '../../host-driver.ts';
import { jobFolder, STATE_FOLDER } from '../job/job.ts';
import { jobProgress } from '../job/progress.ts';
import { redact } from '../job/redact.ts';
import { startJob } from '../job/start-job.ts';
import type { RemoteHost } from '../ssh/remote-host.ts';
import { type Applied, applyScript, installJobID } from './apply-script.ts';
import { haproxyConfig } from './config.ts';
import { installJob } from './install-job.ts';

/** Most packages are there by then, and whoever waits is no slower for it than by asking again. */
const INSTALL_WAIT_SECONDS = 2;
const INSTALL_RETRY_MS = 2_000;

/**
 * Makes HAProxy on the host serve exactly this, and answers a hash of it. Where HAProxy is missing it is installed from the distribution
 * by a job of its own: a call waits a moment for it, then throws TransientError and the next one goes on. TerminalError:
 * HostClaimedElsewhere, LoadBalancerInvalid (refused; what was served before is served on), LoadBalancerFailed (it cannot be installed,
 * or does not listen).
 */
export async function balance(ctx: Ctx, remote: RemoteHost, config: LoadBalancerConfig): Promise<string> {
  const text = haproxyConfig(config);
  const hash = createHash('sha256').update(text).digest('hex').slice(0, 16);
  const wanted = { text, hash, port: config.port, owner: config.owner };
  const attempts = await apply(ctx, remote, wanted);
  if (attempts === undefined) return hash;
  await install(ctx, remote, { config, attempts });
  if ((await apply(ctx, remote, wanted)) !== undefined)
    throw new TransientError('HAProxy went away as soon as it was installed');
  return hash;
}

/** Answers how often HAProxy was tried to be installed where it is missing; `undefined` when the configuration is served. */
async function apply(ctx: Ctx, remote: RemoteHost, wanted: Applied): Promise<number | undefined> {
  const { stdout } = await remote.run(ctx, applyScript(wanted));
  const [, word = '', rest = ''] = /^ts-provider: (\S+) ?(.*)$/m.exec(stdout) ?? [];
  if (word === 'applied') return undefined;
  if (word === 'missing') return Number(rest) || 0;
  throw REFUSALS[word]?.(redact(rest), wanted.owner) ?? new TransientError('HAProxy could not be configured');
}

const REFUSALS: Readonly<Record<string, (said: string, owner: HostOwner) => TerminalError>> = {
  foreign: (seen, { token, generation }) =>
    new TerminalError(
      'HostClaimedElsewhere',
      `${STATE_FOLDER}/owner on the host names ${seen}, not ${token} ${generation}: release what has the host first, or clean the host`,
    ),
  refused: (why) =>
    new TerminalError('LoadBalancerInvalid', `HAProxy on the host refuses its configuration: ${why}`),
  failed: (why) => new TerminalError('LoadBalancerFailed', `The load balancer is not served: ${why}`),
};

/** Looks at the last attempt; one that failed is followed by another. Returns once the package is there. */
async function install(
  ctx: Ctx,
  remote: RemoteHost,
  { config: { owner }, attempts }: { readonly config: LoadBalancerConfig; readonly attempts: number },
): Promise<void> {
  const last =
    attempts > 0 ? await jobProgress(ctx, remote, installJobID(owner.generation, attempts)) : undefined;
  const goesOn = last?.state === 'running';
  const attempt = goesOn ? attempts : attempts + 1;
  await startJob(ctx, remote, installJob(owner, attempt));
  const id = installJobID(owner.generation, attempt);
  await waitFor(ctx, remote, id);
  const progress = await jobProgress(ctx, remote, id);
  if (progress.state === 'succeeded') return;
  if (progress.state === 'failed') {
    const message = `HAProxy cannot be installed: ${progress.message}. Install it on the host by hand, or mend that: it is tried again`;
    throw new TerminalError('LoadBalancerFailed', message);
  }
  throw new TransientError('HAProxy is being installed on the host', { retryAfterMs: INSTALL_RETRY_MS });
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
