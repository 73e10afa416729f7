// SPDX-License-Identifier: Apache-2.0
// Host keys: which are offered, which are accepted, and what people are told when one is not (invariant 11).
import { createHash } from 'node:crypto';
import type { ServerHostKeyAlgorithm } from 'ssh2';
import { TerminalError } from '../../../runtime/errors.ts';
import type { Place } from './naming.ts';
import { WireReader } from './wire.ts';

/** Signature algorithms of each type of host key, best first. RSA with SHA-1 is not among them. */
const ALGORITHMS: Readonly<Record<string, readonly ServerHostKeyAlgorithm[]>> = {
  'ssh-ed25519': ['ssh-ed25519'],
  'ecdsa-sha2-nistp256': ['ecdsa-sha2-nistp256'],
  'ecdsa-sha2-nistp384': ['ecdsa-sha2-nistp384'],
  'ecdsa-sha2-nistp521': ['ecdsa-sha2-nistp521'],
  'ssh-rsa': ['rsa-sha2-512', 'rsa-sha2-256'],
};

/** The SHA-256 fingerprint of `<type> <base64>`, as `ssh-keygen -l` prints it. Throws TypeError on anything else. */
export function fingerprint(hostKey: string): string {
  const blob = keyBlob(hostKey);
  if (blob === undefined) throw new TypeError('Not a public host key: expected "<type> <base64>"');
  return `SHA256:${createHash('sha256').update(blob).digest('base64').replace(/=+$/, '')}`;
}

/** A key as it travels, in the form in which it is pinned. */
export function hostKeyLine(blob: Buffer): string {
  return `${keyType(blob)} ${blob.toString('base64')}`;
}

/** Says whether the key that an end offers is the right one. */
export interface HostKeyCheck {
  /** What to negotiate: types of accepted keys first, so that a host with several keys shows the one that is known. */
  readonly algorithms: ServerHostKeyAlgorithm[];
  /** `undefined` when it is accepted. */
  objection(offered: Buffer): TerminalError | undefined;
}

export interface AcceptedKeys {
  /** `<type> <base64>` each. Throws TerminalError(HostKeyUnknown) where one is not. */
  readonly pinned: readonly string[];
  /** Accepts any key while none is pinned. */
  readonly trustAny: boolean;
}

export function hostKeyCheck(place: Place, accepted: AcceptedKeys): HostKeyCheck {
  const pinned = accepted.pinned.map((line, index) => requireBlob(place, line, index));
  return {
    algorithms: algorithmsFor(pinned),
    objection(offered) {
      if (pinned.some((blob) => blob.equals(offered))) return undefined;
      if (pinned.length > 0) return mismatch(place, offered, pinned);
      return accepted.trustAny ? undefined : unknown(place, offered);
    },
  };
}

function algorithmsFor(pinned: readonly Buffer[]): ServerHostKeyAlgorithm[] {
  const first = pinned.flatMap((blob) => ALGORITHMS[keyType(blob)] ?? []);
  return [...new Set([...first, ...Object.values(ALGORITHMS).flat()])];
}

function requireBlob(place: Place, line: string, index: number): Buffer {
  const blob = keyBlob(line);
  if (blob !== undefined) return blob;
  const message = `${place.name}: ${place.field}.hostKeys[${index}] is not a public host key; it takes "<type> <base64>", as in /etc/ssh/ssh_host_ed25519_key.pub`;
  throw new TerminalError('HostKeyUnknown', message);
}

function mismatch(place: Place, offered: Buffer, pinned: readonly Buffer[]): TerminalError {
  const expected = pinned.map(describe).join(' or ');
  const message = `${place.name} offers the host key ${describe(offered)}, pinned is ${expected}: either another machine answers there, or its key was changed. If it was, compare with "ssh-keygen -lf" on its console and change ${place.field}.hostKeys`;
  return new TerminalError('HostKeyMismatch', message);
}

function unknown(place: Place, offered: Buffer): TerminalError {
  const message = `${place.name} offers the host key ${describe(offered)} and none is pinned: compare with "ssh-keygen -lf" on its console and put "${hostKeyLine(offered)}" into ${place.field}.hostKeys`;
  return new TerminalError('HostKeyUnknown', message);
}

function describe(blob: Buffer): string {
  return `${keyType(blob)} ${fingerprint(hostKeyLine(blob))}`;
}

/** The bytes of `<type> <base64> [comment]`, where both types agree and are known. */
function keyBlob(line: string): Buffer | undefined {
  const [type, base64] = line.trim().split(/\s+/);
  if (type === undefined || base64 === undefined || !(type in ALGORITHMS)) return undefined;
  const blob = Buffer.from(base64, 'base64');
  return keyType(blob) === type ? blob : undefined;
}

function keyType(blob: Buffer): string {
  try {
    return new WireReader(blob).string().toString('latin1');
  } catch {
    return 'unreadable';
  }
}
