// SPDX-License-Identifier: Apache-2.0
// For tests: a host made of namespaces of its own, in which a clean-up may run for real. Its processes, network, mounts and files are
// nobody else's: killing every kubelet there kills none on this computer. It ends with its first process.
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { RemoteHost, RunResult } from './ssh/remote-host.ts';

/** What the root of the host is made of: this computer's programs and /etc, or nothing but busybox. */
export type Kind = 'system' | 'busybox';

export interface PrivateHost {
  readonly remote: RemoteHost;
  /** Runs a script there and answers its output; throws when it fails. */
  sh(script: string): string;
  /** Every file, folder and link that a clean-up might touch, with mode and content: equal when nothing has changed. */
  snapshot(): string[];
  close(): void;
}

/** Why there can be none here; `undefined` when there can. */
export function whyNoPrivateHost(): string | undefined {
  if (process.platform !== 'linux') return 'needs Linux';
  if (process.getuid?.() !== 0) return 'needs root for namespaces of its own';
  try {
    execFileSync('unshare', [...NAMESPACES, 'sh', '-c', 'mount -t tmpfs none /tmp && ip link set lo up'], {
      stdio: 'ignore',
    });
    return undefined;
  } catch {
    return 'unshare cannot make namespaces here';
  }
}

const NAMESPACES = ['--mount', '--net', '--pid', '--uts', '--ipc', '--fork', '--kill-child', '--mount-proc'];

/** Folders that begin empty: what this computer has there is none of the test's business. */
const FRESH = ['run', 'tmp', 'var/lib', 'var/log', 'root', 'home', 'opt'];

/** The overlay has a tmpfs for what is written, which ends with the namespace. */
const SETUP: Readonly<Record<Kind, string>> = {
  system: `
mkdir "$1/upper" "$1/work" "$1/root"
mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/root"
cd "$1/root"
for folder in ${FRESH.join(' ')}; do mount -t tmpfs -o mode=755 tmpfs "./$folder"; done
rm -rf ./etc/kubernetes ./etc/cni ./etc/haproxy
`,
  busybox: `
mkdir -p "$1/root/bin"
cd "$1/root"
mkdir -p proc sys dev etc usr/bin usr/sbin sbin ${FRESH.join(' ')}
for file in /bin/busybox $(ldd /bin/busybox 2>/dev/null | grep -o '/[^ ]*'); do
  mkdir -p ".$(dirname "$file")"
  cp -L "$file" ".$file"
done
chroot . /bin/busybox --install -s /bin
printf 'ID=tiny\\n' >etc/os-release
printf 'root:x:0:0::/root:/bin/sh\\n' >etc/passwd
printf 'root:x:0:\\n' >etc/group
`,
};

const READY = 'ready';

/** In the namespaces: makes the root, and stays as their first process, which reaps what others leave behind. */
const INIT = (kind: Kind): string => `set -e
mount --make-rprivate /
mount -t tmpfs tmpfs "$1"
${SETUP[kind]}
mkdir -p ./dev
mount -t proc proc ./proc
mount -t sysfs sysfs ./sys
mount -t tmpfs tmpfs ./dev
for device in null zero random urandom; do : >"./dev/$device"; mount --bind "/dev/$device" "./dev/$device"; done
printf '127.0.0.1 localhost\\n10.1.2.3 other.example # somebody else\\n' >./etc/hosts
ip link set lo up
hostname test-host
echo ${READY}
while :; do sleep 1; done
`;

export async function startPrivateHost(kind: Kind): Promise<PrivateHost> {
  const folder = mkdtempSync(join(tmpdir(), 'private-host-'));
  const holder = spawn('unshare', [...NAMESPACES, 'sh', '-c', INIT(kind), 'sh', folder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await untilReady(holder);
  const init = childOf(holder.pid ?? 0);
  const inside = (script: string): string[] => [
    ...['-t', String(init), '-m', '-n', '-p', '-u', '-i', 'chroot', `${folder}/root`, '/bin/sh', '-c'],
    `cd /\numask 022\n${script}`,
  ];
  const sh = (script: string): string =>
    execFileSync('nsenter', inside(script), { encoding: 'utf8', maxBuffer: 64 * 1024 * 1024 });
  return {
    remote: { seenKeys: {}, run: (_ctx, script, options) => run(inside(script), options?.input) },
    sh,
    snapshot: () => sh(SNAPSHOT).trim().split('\n').sort(),
    close() {
      holder.kill('SIGKILL');
      // Never its contents: should a mount ever be seen from here, they would be this computer's.
      if (existsSync(folder)) rmdirSync(folder);
    },
  };
}

const FOLDERS = `etc ${FRESH.join(' ')} usr/libexec/kubernetes`;

const SNAPSHOT = `
cd /
find ${FOLDERS} -xdev -exec stat -c '%n: %F %a %u:%g' {} + 2>/dev/null
find ${FOLDERS} -xdev -type f -exec sha256sum {} + 2>/dev/null
cat /proc/self/mounts
ip -o link | sed 's/^[0-9]*: //;s/ .*//'
nft list ruleset 2>/dev/null | sed 's/counter packets [0-9]* bytes [0-9]*/counter/'
iptables-legacy-save 2>/dev/null | grep -E '^(-A|:.* - )'
ip route
uname -n
`;

function run(args: readonly string[], input: string | Buffer = ''): Promise<RunResult> {
  return new Promise((resolve, reject) => {
    const child = spawn('nsenter', args, { stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
    child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
    child.on('error', reject);
    child.on('close', (code) => resolve({ exitCode: code ?? undefined, stdout, stderr }));
    child.stdin.on('error', () => {}).end(input);
  });
}

function untilReady(holder: ChildProcess): Promise<void> {
  return new Promise((resolve, reject) => {
    let said = '';
    holder.stdout?.setEncoding('utf8').on('data', (text: string) => {
      said += text;
      if (said.includes(READY)) resolve();
    });
    holder.on('exit', (code) => reject(new Error(`the private host ended with ${code}`)));
  });
}

/** unshare forks: its child is the first process of the namespaces. */
function childOf(pid: number): number {
  return Number(execFileSync('pgrep', ['-P', String(pid)], { encoding: 'utf8' }).trim());
}
