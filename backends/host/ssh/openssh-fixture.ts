// SPDX-License-Identifier: Apache-2.0
// A real OpenSSH server with keys and settings of its own, for the tests of this folder.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const TYPES = ['ed25519', 'ecdsa', 'rsa'] as const;

const SSHD = '/usr/sbin/sshd';

/** Why there is no real server on this machine; `undefined` when there can be one. */
export function noOpenSsh(): string | undefined {
  if (process.platform !== 'linux') return 'not Linux';
  if (!existsSync(SSHD)) return `${SSHD} is not there (Debian: openssh-server)`;
  if (process.getuid?.() !== 0) return 'only root can be logged in as root';
  return undefined;
}

export interface OpenSsh {
  readonly port: number;
  /** `<type> <base64>` of the Ed25519, ECDSA and RSA host keys. */
  readonly hostKeys: { readonly ed25519: string; readonly ecdsa: string; readonly rsa: string };
  /** Makes a key pair that is let in; answers its private half. More arguments are ssh-keygen's. */
  newKey(name: string, args: readonly string[]): string;
  /** A certificate of that key for root; `validity` as ssh-keygen -V takes it. */
  certify(name: string, validity: string): string;
  /** Takes a key from those that are let in: then only its certificate is. */
  revoke(name: string): void;
  stop(): Promise<void>;
}

export async function startOpenSsh(settings: readonly string[] = []): Promise<OpenSsh> {
  const dir = mkdtempSync(join(tmpdir(), 'ts-provider-sshd-'));
  const path = (name: string) => join(dir, name);
  const keygen = (...args: string[]) => execFileSync('ssh-keygen', ['-q', ...args], { stdio: 'pipe' });
  for (const type of TYPES) keygen('-t', type, '-N', '', '-f', path(`host_${type}`));
  keygen('-t', 'ed25519', '-N', '', '-f', path('authority'));
  writeFileSync(path('authorized_keys'), '');
  const port = await freePort();
  writeFileSync(path('config'), configuration({ dir, port, settings }));
  // Where sshd locks itself in before a login; packages make it when the service starts.
  mkdirSync('/run/sshd', { recursive: true, mode: 0o755 });
  const child = spawn(SSHD, ['-D', '-e', '-f', path('config')], { stdio: ['ignore', 'ignore', 'pipe'] });
  await listening(child).catch((error: unknown) => {
    rmSync(dir, { recursive: true, force: true });
    throw error;
  });
  const line = (type: string) =>
    readFileSync(path(`host_${type}.pub`), 'utf8')
      .split(' ')
      .slice(0, 2)
      .join(' ');
  return {
    port,
    hostKeys: { ed25519: line('ed25519'), ecdsa: line('ecdsa'), rsa: line('rsa') },
    newKey(name, args) {
      keygen('-f', path(name), ...args);
      const authorized = readFileSync(path(`${name}.pub`), 'utf8');
      writeFileSync(path('authorized_keys'), authorized, { flag: 'a' });
      return readFileSync(path(name), 'utf8');
    },
    certify(name, validity) {
      keygen('-s', path('authority'), '-I', name, '-n', 'root', '-V', validity, path(`${name}.pub`));
      return readFileSync(path(`${name}-cert.pub`), 'utf8');
    },
    revoke(name) {
      const authorized = readFileSync(path('authorized_keys'), 'utf8');
      writeFileSync(
        path('authorized_keys'),
        authorized.replace(readFileSync(path(`${name}.pub`), 'utf8'), ''),
      );
    },
    async stop() {
      if (child.exitCode === null && child.kill())
        await new Promise((resolve) => child.once('exit', resolve));
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

function configuration(options: { dir: string; port: number; settings: readonly string[] }): string {
  const path = (name: string) => join(options.dir, name);
  const lines = [
    `Port ${options.port}`,
    'ListenAddress 127.0.0.1',
    ...TYPES.map((type) => `HostKey ${path(`host_${type}`)}`),
    `AuthorizedKeysFile ${path('authorized_keys')}`,
    `TrustedUserCAKeys ${path('authority.pub')}`,
    `PidFile ${path('pid')}`,
    ...['PermitRootLogin yes', 'StrictModes no', 'UsePAM no', 'LogLevel VERBOSE'],
    ...['PasswordAuthentication no', 'KbdInteractiveAuthentication no'],
    ...options.settings,
  ];
  return `${lines.join('\n')}\n`;
}

async function listening(child: ChildProcess): Promise<void> {
  let said = '';
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', () => reject(new Error(`sshd ended: ${said}`)));
    child.stderr?.on('data', (chunk: Buffer) => {
      said += chunk.toString();
      if (said.includes('Server listening on')) resolve();
    });
  });
}

async function freePort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}
