// SPDX-License-Identifier: Apache-2.0
// A stand-in for AWS: moto, a Python program, installed once into the cache beside the stack and started on loopback.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { arch, platform } from 'node:os';
import { dirname, join } from 'node:path';
import { cacheDir } from './build.ts';
import { withLock } from './lock.ts';
import { freePort } from './ports.ts';
import { runProgram, startServer, waitUntil } from './process.ts';
import { AWS_VERSIONS } from './versions.ts';

/** The services that it plays. */
const PACKAGE = `moto[server,ec2,elbv2,autoscaling,sts,secretsmanager,ssm,iam]==${AWS_VERSIONS.moto}`;

/**
 * Path of moto_server. Installed on the first call, which needs Python 3.9 or later with `venv`, and a package index. `say` gets
 * one line per thing that takes time.
 */
export async function moto(say: (line: string) => void = sayOnStderr): Promise<string> {
  const root = motoDir();
  mkdirSync(dirname(root), { recursive: true });
  if (!isComplete(root)) {
    const waiting = (pid: number) => say(`process ${pid} is installing moto: waiting for it`);
    await withLock(`${root}.lock`, () => install(root, say), waiting);
  }
  return join(root, 'bin/moto_server');
}

/** `$XDG_CACHE_HOME/ts-provider/stack/moto-<version>_<platform>`. */
export function motoDir(env: NodeJS.ProcessEnv = process.env): string {
  return join(dirname(cacheDir(env)), `moto-${AWS_VERSIONS.moto}_${platform()}-${arch()}`);
}

/** Python writes the path of the folder into its programs, so it cannot be moved into place: a file says that it is whole. */
const MARK = 'complete';

function isComplete(root: string): boolean {
  return existsSync(join(root, MARK));
}

async function install(root: string, say: (line: string) => void): Promise<void> {
  if (isComplete(root)) return; // Whoever held the lock before us made it.
  say(`installing moto ${AWS_VERSIONS.moto} (about a minute, 320 MB)`);
  rmSync(root, { recursive: true, force: true });
  await makeEnvironment(root);
  const pip = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', PACKAGE];
  await runProgram(join(root, 'bin/python3'), pip);
  writeFileSync(join(root, MARK), '');
}

async function makeEnvironment(root: string): Promise<void> {
  try {
    await runProgram('python3', ['-m', 'venv', root]);
  } catch (error) {
    // What it says without ensurepip names another package in each release.
    const way = 'moto needs Python 3 with venv; on Debian and Ubuntu: apt-get install python3-venv';
    throw new Error(`${way} (${(error as Error).message})`, { cause: error });
  }
}

export interface Moto {
  /** `http://127.0.0.1:<port>`, for every service. */
  readonly url: string;
  readonly pid: number;
  readonly logFile: string;
  /** Everything of every account is gone; only what a new account has is there. */
  reset(): Promise<void>;
  stop(): Promise<void>;
}

export interface MotoOptions {
  /** Gets the log. */
  readonly dir: string;
  /** Default: any that is free. */
  readonly port?: number;
}

/** What AWS refuses and moto would take. Key pairs are not checked: that would refuse instances without one. */
const STRICT = { MOTO_ENABLE_AMI_VALIDATION: '1', MOTO_EC2_ENABLE_INSTANCE_TYPE_VALIDATION: '1' };

/** Starts it on loopback and waits until it answers. It ends with this process at the latest. */
export async function startMoto(options: MotoOptions): Promise<Moto> {
  const binary = await moto();
  const port = options.port ?? (await freePort());
  const url = `http://127.0.0.1:${port}`;
  const server = startServer({
    name: 'moto',
    binary,
    args: ['-H', '127.0.0.1', '-p', String(port)],
    // The region of calls that name none.
    env: { AWS_DEFAULT_REGION: 'us-east-1', ...STRICT },
    logFile: join(options.dir, `moto-${port}.log`),
  });
  const answers = async () => (await fetch(`${url}/moto-api/`)).ok;
  await waitUntil(answers, { what: 'moto to answer', timeoutMs: 60_000, server });
  return {
    url,
    pid: server.pid,
    logFile: server.logFile,
    async reset() {
      const answer = await fetch(`${url}/moto-api/reset`, { method: 'POST' });
      if (!answer.ok) throw new Error(`moto does not reset: HTTP ${answer.status}\n${server.tail()}`);
    },
    stop: () => server.stop(),
  };
}

function sayOnStderr(line: string): void {
  process.stderr.write(`stack: ${line}\n`);
}
