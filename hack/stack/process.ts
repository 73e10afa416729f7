// SPDX-License-Identifier: Apache-2.0
// Starts a server as a child that cannot outlive us: not after an error, not after Ctrl-C, not after kill -9.
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { closeSync, existsSync, openSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

export interface ServerOptions {
  /** For messages: `kube-apiserver`. */
  readonly name: string;
  readonly binary: string;
  readonly args: readonly string[];
  /** Added to our own environment. */
  readonly env?: Readonly<Record<string, string>>;
  /** Gets standard output and standard error, appended. */
  readonly logFile: string;
  readonly cwd?: string;
}

export interface Server {
  readonly name: string;
  readonly pid: number;
  readonly logFile: string;
  running(): boolean;
  /** Settles when the process has ended, whoever ended it. */
  readonly ended: Promise<void>;
  /** `null` while it runs, and when a signal ended it. */
  exitCode(): number | null;
  /** SIGTERM, then SIGKILL after ten seconds. Twice is harmless. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would be. */
  kill(): Promise<void>;
  /** The last lines that it wrote, for diagnosis. */
  tail(lines?: number): string;
}

/**
 * The shell becomes the server (exec), so signals and exit codes are the server's own. Beside it waits a watchdog for the end of
 * its pipe, which the system closes when we die in any way, and then ends the group. The group has a number of its own, which the
 * system does not give away while the watchdog lives: it can never hit a stranger.
 */
const GUARDED = `exec 3<&0
( trap '' TERM INT HUP; cat <&3 >/dev/null; kill -s TERM -- -$$; n=0
  while [ $n -lt 50 ] && kill -0 $$; do sleep 0.1; n=$((n+1)); done; kill -s KILL -- -$$ ) >/dev/null 2>&1 &
exec "$@" </dev/null 3<&-`;

const STOP_MS = 10_000;

/** Starts it and returns at once; {@link waitUntil} tells when it serves. */
export function startServer(options: ServerOptions): Server {
  const log = openSync(options.logFile, 'a');
  const child = spawn('/bin/sh', ['-c', GUARDED, 'sh', options.binary, ...options.args], {
    stdio: ['pipe', log, log],
    env: { ...process.env, ...options.env },
    // A group of its own: Ctrl-C in a terminal reaches us alone, and we stop servers in the right order.
    detached: true,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
  });
  closeSync(log);
  const ended = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    child.once('error', () => resolve());
  });
  return serverOf(child, ended, options);
}

function serverOf(child: ChildProcess, ended: Promise<void>, options: ServerOptions): Server {
  const running = () => child.pid !== undefined && child.exitCode === null && child.signalCode === null;
  return {
    name: options.name,
    pid: child.pid ?? 0,
    logFile: options.logFile,
    running,
    ended,
    exitCode: () => child.exitCode,
    async stop() {
      if (!running()) return;
      child.kill('SIGTERM');
      const timer = setTimeout(() => child.kill('SIGKILL'), STOP_MS);
      await ended;
      clearTimeout(timer);
    },
    async kill() {
      if (running()) child.kill('SIGKILL');
      await ended;
    },
    tail: (lines = 15) => tailOf(options.logFile, lines),
  };
}

function tailOf(file: string, lines: number): string {
  if (!existsSync(file)) return '';
  return readFileSync(file, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
}

export interface WaitOptions {
  /** What is waited for, for the message of the error: `kube-apiserver to be ready`. */
  readonly what: string;
  readonly timeoutMs: number;
  readonly pollMs?: number;
  /** Waiting ends with an error as soon as this server has ended. */
  readonly server?: Server;
}

/** Asks until the answer is `true`; an error is a "not yet" whose message is told if the time runs out. */
export async function waitUntil(ask: () => Promise<boolean>, options: WaitOptions): Promise<void> {
  const deadline = Date.now() + options.timeoutMs;
  let last = '';
  while (Date.now() < deadline) {
    if (options.server?.running() === false)
      throw new Error(`${options.server.name} ended\n${options.server.tail()}`);
    try {
      if (await ask()) return;
    } catch (error) {
      last = error instanceof Error ? error.message : String(error);
    }
    await pause(options.pollMs ?? 100);
  }
  const detail = [last, options.server?.tail() ?? ''].filter((line) => line !== '').join('\n');
  throw new Error(`Waited ${options.timeoutMs / 1000} s in vain for ${options.what}\n${detail}`);
}

/** `ms` milliseconds. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => void setTimeout(resolve, ms));
}

/** Runs a program to its end and gives its standard output. Throws an Error with what it said on standard error. */
export async function runProgram(
  binary: string,
  args: readonly string[],
  options: { cwd?: string; env?: Readonly<Record<string, string>>; input?: string } = {},
): Promise<string> {
  const { input, env, ...rest } = options;
  const promise = run(binary, args, { ...rest, env: { ...process.env, ...env }, maxBuffer: 256 << 20 });
  promise.child.stdin?.on('error', () => undefined); // It may end without reading: its exit code tells.
  promise.child.stdin?.end(input ?? '');
  try {
    return (await promise).stdout;
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim() ?? '';
    const command = [binary.split('/').at(-1), ...args.slice(0, 3)].join(' ');
    throw new Error(`${command} failed: ${said === '' ? String(error) : said}`, { cause: error });
  }
}
