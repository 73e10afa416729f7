// SPDX-License-Identifier: Apache-2.0
// How people are told of an end of an SSH connection, and of what went wrong there: the one place that classifies it.
import type { HostAccess, SshEndpoint } from '../../host-driver.ts';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import { DeadlinePassed } from './limit.ts';

/** One end, as messages name it. */
export interface Place {
  /** `host default/rack-a-07 (10.0.0.7:22)` or `bastion 10.0.0.1:22`. */
  readonly name: string;
  /** Where the TSHost describes it: `spec.ssh` or `spec.ssh.bastion`. */
  readonly field: string;
}

export function hostPlace(access: HostAccess): Place {
  return { name: `host ${access.key} (${socketAddress(access)})`, field: 'spec.ssh' };
}

export function bastionPlace(bastion: SshEndpoint): Place {
  return { name: `bastion ${socketAddress(bastion)}`, field: 'spec.ssh.bastion' };
}

/** `10.0.0.7:22` or `[fd00::7]:22`. */
export function socketAddress(end: { readonly address: string; readonly port: number }): string {
  return end.address.includes(':') ? `[${end.address}]:${end.port}` : `${end.address}:${end.port}`;
}

const SOCKET_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens on that port',
  ECONNRESET: 'it reset the connection',
  EHOSTUNREACH: 'there is no route to it',
  ENETUNREACH: 'there is no route to its network',
  ENOTFOUND: 'its name does not resolve',
  EAI_AGAIN: 'its name could not be resolved just now',
  ETIMEDOUT: 'it did not answer',
};

/** TransientError of something that did not work this time. `doing` completes "while", such as `connecting`. */
export function transient(place: Place, doing: string, error: unknown): TransientError | TerminalError {
  if (error instanceof TransientError || error instanceof TerminalError) return error;
  // No cause: the message says all that it says, and people read both.
  return new TransientError(`${place.name}, while ${doing}: ${oneReason(error)}`);
}

function oneReason(error: unknown): string {
  if (error instanceof DeadlinePassed) return error.message;
  const { code, name, message } = error as { code?: unknown; name?: string; message?: string };
  if (typeof code === 'string' && code in SOCKET_ERRORS) return `${SOCKET_ERRORS[code]} (${code})`;
  // The manager stops, or the caller's time is over.
  if (name === 'AbortError' || name === 'TimeoutError') return 'the call was ended';
  return oneLine(message ?? String(error));
}

/** The same error, said of the host that needs the bastion. */
export function behindBastion(host: Place, error: unknown): unknown {
  if (error instanceof TransientError) return new TransientError(`${host.name}: ${error.message}`);
  if (error instanceof TerminalError)
    return new TerminalError(error.reason, `${host.name}: ${error.message}`);
  return error;
}

/** What the other end wrote, as one short line without control characters. */
export function oneLine(text: string): string {
  const line = text.replace(/[\p{Cc}\s]+/gu, ' ').trim();
  return line.length > 200 ? `${line.slice(0, 200)}…` : line;
}
