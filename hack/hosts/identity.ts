// SPDX-License-Identifier: Apache-2.0
// What makes one host different from another before its first start: name, keys, who may log in.
import { chmodSync, chownSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import ssh2 from 'ssh2';
import { runProgram } from '../stack/process.ts';
import { ROUTER } from './network.ts';

/** A pair as OpenSSH writes it. */
export interface SshKey {
  /** PEM of an unencrypted private key. */
  readonly privateKey: string;
  /** `ssh-ed25519 AAAA...`, without a comment. */
  readonly publicKey: string;
}

/** A new ed25519 pair. */
export function createSshKey(): SshKey {
  const { private: privateKey, public: publicKey } = ssh2.utils.generateKeyPairSync('ed25519');
  return { privateKey, publicKey: publicKey.split(' ').slice(0, 2).join(' ') };
}

/** Somebody who may log in with a key. */
export interface Login {
  readonly user: string;
  readonly publicKey: string;
  /** For sudo; SSH never takes it. */
  readonly password?: string;
}

export interface Identity {
  readonly name: string;
  readonly address: string;
  readonly hostKey: SshKey;
  readonly logins: readonly Login[];
}

/** Writes the files into `root`, which is laid over `debian`. */
export async function writeIdentity(root: string, debian: string, identity: Identity): Promise<void> {
  const { name, address, hostKey, logins } = identity;
  const write = (path: string, text: string, mode = 0o644) => {
    const file = join(root, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text, { mode });
  };
  write('etc/hostname', `${name}\n`);
  // Its own name must resolve: the kubelet looks it up, and kubeadm waits for the kubelet.
  write('etc/hosts', `127.0.0.1 localhost\n${address} ${name}\n`);
  write('etc/resolv.conf', `nameserver ${ROUTER}\n`);
  write('etc/ssh/ssh_host_ed25519_key', hostKey.privateKey, 0o600);
  write('etc/ssh/ssh_host_ed25519_key.pub', `${hostKey.publicKey} ${name}\n`);
  let shadow = readFileSync(join(debian, 'etc/shadow'), 'utf8');
  for (const login of logins) {
    authorize(root, debian, login);
    if (login.password === undefined) continue;
    const hash = await runProgram('chroot', [debian, 'openssl', 'passwd', '-6', '-stdin'], {
      input: login.password,
    });
    shadow = shadow.replace(new RegExp(`^${login.user}:[^:]*:`, 'm'), () => `${login.user}:${hash.trim()}:`);
  }
  write('etc/shadow', shadow, 0o640);
  chownSync(join(root, 'etc/shadow'), 0, fieldOf(debian, 'group', 'shadow', 2));
}

function authorize(root: string, debian: string, { user, publicKey }: Login): void {
  const home = user === 'root' ? 'root' : `home/${user}`;
  const owner = [fieldOf(debian, 'passwd', user, 2), fieldOf(debian, 'passwd', user, 3)] as const;
  mkdirSync(join(root, home, '.ssh'), { recursive: true });
  const file = join(root, home, '.ssh/authorized_keys');
  writeFileSync(file, `${publicKey}\n`);
  // A home that others may write to is one that sshd does not trust.
  for (const [path, mode] of [
    [join(root, home), 0o700],
    [join(root, home, '.ssh'), 0o700],
    [file, 0o600],
  ] as const) {
    chmodSync(path, mode);
    chownSync(path, ...owner);
  }
}

/** A number of a line of a database: field 2 is a user's or group's own, field 3 of `passwd` that of its group. */
function fieldOf(root: string, database: 'passwd' | 'group', name: string, field: 2 | 3): number {
  const lines = readFileSync(join(root, 'etc', database), 'utf8').split('\n');
  const found = lines.map((line) => line.split(':')).find(([first]) => first === name)?.[field];
  if (found === undefined) throw new Error(`${name} is not in /etc/${database} of the Debian root`);
  return Number(found);
}
