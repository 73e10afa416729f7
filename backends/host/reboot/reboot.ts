// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import type { HostOwner, RebootAnswer, RebootRequest } from '../../host-driver.ts';
import { foreignMessage } from '../job/start-job.ts';
import type { RemoteHost, RunResult } from '../ssh/remote-host.ts';
import { rebootScript, releaseScript } from './script.ts';

/** It may have to ask a service manager that is slow to answer. */
const RELEASE_MS = 60_000;

/**
 * Begins the end of the boot `fromBootID`, which then goes on without us; a second call begins nothing. TerminalError:
 * HostClaimedElsewhere, HostUnsuitable (it does not tell its boot). TransientError: try again; a host that is going down does not answer.
 */
export async function reboot(ctx: Ctx, remote: RemoteHost, request: RebootRequest): Promise<RebootAnswer> {
  // In braces, so that a part of it is never run.
  const result = await remote.run(ctx, `{\n${rebootScript(request)}}\n`);
  const [word, rest] = answerOf(result);
  switch (word) {
    case 'asked':
    case 'done':
      return word;
    case 'held':
      return request.holdKubelet ? 'held' : 'done';
    case 'foreign':
      throw new TerminalError('HostClaimedElsewhere', foreignMessage(rest, request.owner));
    case 'unknown':
      throw new TerminalError(
        'HostUnsuitable',
        'The host has no /proc/sys/kernel/random/boot_id: nobody can tell whether it has rebooted',
      );
    case 'unheld':
      throw new TransientError(
        'The kubelet of the host cannot be kept from starting: is /etc read-only, or the disk full?',
      );
    default:
      throw failure('rebooting the host', result);
  }
}

/** Lets go of a kubelet that {@link reboot} holds, and starts it. Errors as there. */
export async function releaseKubelet(ctx: Ctx, remote: RemoteHost, owner: HostOwner): Promise<void> {
  const result = await remote.run(ctx, `{\n${releaseScript(owner)}}\n`, { timeoutMs: RELEASE_MS });
  const [word, rest] = answerOf(result);
  if (word === 'foreign') throw new TerminalError('HostClaimedElsewhere', foreignMessage(rest, owner));
  if (word !== 'released') throw failure('letting the kubelet of the host start', result);
}

function answerOf({ stdout }: RunResult): [word: string, rest: string] {
  const [, word = '', rest = ''] = /^ts-provider: (\S+) ?(.*)$/m.exec(stdout) ?? [];
  return [word, rest];
}

function failure(what: string, { exitCode }: RunResult): TransientError {
  return new TransientError(
    `${what}: ${exitCode === undefined ? 'ended by a signal' : `exit code ${exitCode}`}`,
  );
}
