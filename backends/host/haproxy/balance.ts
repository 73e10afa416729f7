// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { HostOwner, LoadBalancerConfig } from '../../host-driver.ts';
import { answerOf, foreignOwnerMessage } from '../claim-script.ts';
import { redact } from '../job/redact.ts';
import { type Installable, installPackage } from '../package-job.ts';
import type { RemoteHost } from '../ssh/remote-host.ts';
import { type Applied, applyScript, INSTALLED_FILE } from './apply-script.ts';
import { haproxyConfig } from './config.ts';

const HAPROXY: Installable = {
  program: 'haproxy',
  title: 'HAProxy',
  installedFile: INSTALLED_FILE,
  reason: 'LoadBalancerFailed',
};

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
  await installPackage(ctx, remote, { ...HAPROXY, owner: config.owner, attempts });
  if ((await apply(ctx, remote, wanted)) !== undefined)
    throw new TransientError('HAProxy went away as soon as it was installed');
  return hash;
}

/** Answers how often HAProxy was tried to be installed where it is missing; `undefined` when the configuration is served. */
async function apply(ctx: Ctx, remote: RemoteHost, wanted: Applied): Promise<number | undefined> {
  const { stdout } = await remote.run(ctx, applyScript(wanted));
  const { word, rest } = answerOf(stdout);
  if (word === 'applied') return undefined;
  if (word === 'missing') return Number(rest) || 0;
  throw REFUSALS[word]?.(redact(rest), wanted.owner) ?? new TransientError('HAProxy could not be configured');
}

const REFUSALS: Readonly<Record<string, (said: string, owner: HostOwner) => TerminalError>> = {
  foreign: (seen, owner) => new TerminalError('HostClaimedElsewhere', foreignOwnerMessage(seen, owner)),
  refused: (why) =>
    new TerminalError('LoadBalancerInvalid', `HAProxy on the host refuses its configuration: ${why}`),
  failed: (why) => new TerminalError('LoadBalancerFailed', `The load balancer is not served: ${why}`),
};
