// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { HostOwner, VirtualIPConfig } from '../../host-driver.ts';
import { answerOf, foreignOwnerMessage } from '../claim-script.ts';
import { redact } from '../job/redact.ts';
import { type Installable, installPackage } from '../package-job.ts';
import type { RemoteHost } from '../ssh/remote-host.ts';
import { type Applied, applyScript, INSTALLED_FILE } from './apply-script.ts';
import { CHECK_SCRIPT } from './check-script.ts';
import { keepalivedConfig } from './config.ts';

const KEEPALIVED: Installable = {
  program: 'keepalived',
  title: 'keepalived',
  installedFile: INSTALLED_FILE,
  reason: 'VirtualIPFailed',
};

/**
 * Makes keepalived on the host serve exactly this, and answers a hash of it. Where keepalived is missing it is installed from the
 * distribution by a job of its own: a call waits a moment for it, then throws TransientError and the next one goes on. One that runs is
 * reloaded, which keeps the address where it is. TerminalError: HostClaimedElsewhere, VirtualIPFailed (it cannot be installed or does not
 * run, or the address is somebody else's).
 */
export async function virtualIP(ctx: Ctx, remote: RemoteHost, config: VirtualIPConfig): Promise<string> {
  const text = keepalivedConfig(config);
  const hash = createHash('sha256').update(`${text}\0${CHECK_SCRIPT}`).digest('hex').slice(0, 16);
  const attempts = await apply(ctx, remote, { text, hash, config });
  if (attempts === undefined) return hash;
  await installPackage(ctx, remote, { ...KEEPALIVED, owner: config.owner, attempts });
  if ((await apply(ctx, remote, { text, hash, config })) !== undefined)
    throw new TransientError('keepalived went away as soon as it was installed');
  return hash;
}

/** Answers how often keepalived was tried to be installed where it is missing; `undefined` when the configuration is served. */
async function apply(ctx: Ctx, remote: RemoteHost, wanted: Applied): Promise<number | undefined> {
  const { stdout } = await remote.run(ctx, applyScript(wanted));
  const { word, rest } = answerOf(stdout);
  if (word === 'applied') return undefined;
  if (word === 'missing') return Number(rest) || 0;
  const said = redact(rest, [wanted.config.password]);
  throw (
    REFUSALS[word]?.(said, wanted.config.owner) ?? new TransientError('keepalived could not be configured')
  );
}

const REFUSALS: Readonly<Record<string, (said: string, owner: HostOwner) => TerminalError>> = {
  foreign: (seen, owner) => new TerminalError('HostClaimedElsewhere', foreignOwnerMessage(seen, owner)),
  refused: (why) => new TerminalError('VirtualIPFailed', `The virtual address cannot be served: ${why}`),
  failed: (why) => new TerminalError('VirtualIPFailed', `The virtual address is not served: ${why}`),
};
