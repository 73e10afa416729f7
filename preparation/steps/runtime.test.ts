// SPDX-License-Identifier: Apache-2.0
// How the container runtime is configured, and when it is started and restarted.
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPreparation } from '../../api/preparation.ts';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import {
  type PrivateHost,
  startPrivateHost,
  whyNoPrivateHost,
} from '../../backends/host/private-host.fixtures.ts';
import type { PreparationInput } from '../input.ts';
import { stepScript } from '../script.ts';
import { inputOf } from './input.fixtures.ts';
import { runtimeConfigSteps } from './runtime-config.ts';
import { runtimeServiceSteps } from './runtime-service.ts';

const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`The container runtime is not tried on a host of its own: ${whyNot}.`);

describe.skipIf(whyNot !== undefined)('the configuration, on a host of its own', { timeout: 60_000 }, () => {
  let host: PrivateHost;

  beforeEach(async () => {
    host = await startPrivateHost('system');
    host.sh(`rm -rf /etc/containerd /etc/crio
      printf '#!/bin/sh\\necho "$*" >/tmp/asked\\nprintf "registry.k8s.io/kube-proxy:v1\\\\nregistry.k8s.io/pause:3.10.2\\\\n"\\n' >/usr/local/bin/kubeadm
      printf '#!/bin/sh\\n[ ! -e /tmp/bad ] || { echo "containerd: toml: line 3" >&2; exit 1; }\\n' >/usr/local/bin/containerd
      chmod +x /usr/local/bin/*`);
  });
  afterEach(() => host?.close());

  async function run(spec: HostPreparation, changes: Partial<PreparationInput> = {}): Promise<string> {
    const [step] = runtimeConfigSteps(inputOf(spec, changes));
    const { stdout, stderr } = await host.remote.run(quietContext(), stepScript(step!, '0123456789abcdef'));
    return stdout + stderr;
  }

  it('is what containerd 2 reads, with the sandbox image that kubeadm names', async () => {
    expect(await run({})).toBe('runtime_config: applied\n');
    expect(host.sh('cat /tmp/asked')).toBe('config images list --kubernetes-version v1.36.3\n');
    expect(host.sh('cat /etc/containerd/config.toml')).toBe(
      `# Written by ts-provider. Further settings come from conf.d.
version = 3
imports = ['/etc/containerd/conf.d/*.toml']

[plugins.'io.containerd.cri.v1.images'.pinned_images]
  sandbox = 'registry.k8s.io/pause:3.10.2'

[plugins.'io.containerd.cri.v1.images'.registry]
  config_path = '/etc/containerd/certs.d'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc]
  runtime_type = 'io.containerd.runc.v2'

[plugins.'io.containerd.cri.v1.runtime'.containerd.runtimes.runc.options]
  SystemdCgroup = true
`,
    );
    const before = host.snapshot();
    expect(await run({})).toBe('runtime_config: in place\n');
    expect(host.snapshot()).toEqual(before);
  });

  it('takes what the spec says, whatever is in it', async () => {
    const additionalConfig = `[debug]\n  level = "it's $HOME \`id\` $(id)"\nEND_OF_DATA`;
    const containerRuntime = {
      sandboxImage: 'mirror.example:5000/pause:1',
      cgroupDriver: 'cgroupfs' as const,
      additionalConfig,
    };
    await run({ containerRuntime });
    expect(
      host.sh(
        'grep -e sandbox -e Systemd /etc/containerd/config.toml; cat /etc/containerd/conf.d/99-ts-provider.toml; stat -c %a /etc/containerd/conf.d/99-ts-provider.toml',
      ),
    ).toBe(
      `  sandbox = 'mirror.example:5000/pause:1'\n  SystemdCgroup = false\n# Written by ts-provider\nversion = 3\n${additionalConfig}\n600\n`,
    );
    await run({ containerRuntime: { additionalConfig: 'version = 2\n[debug]' } });
    expect(host.sh('cat /etc/containerd/conf.d/99-ts-provider.toml')).toBe(
      '# Written by ts-provider\nversion = 2\n[debug]\n',
    );
    await run({});
    expect(host.sh('ls -A /etc/containerd')).toBe('config.toml\n');
  });

  it('says what containerd does not accept, and what kubeadm does not tell', async () => {
    host.sh('touch /tmp/bad');
    expect(await run({})).toContain(
      'error: containerd does not accept its configuration: containerd: toml: line 3',
    );
    host.sh('echo "exit 1" >/usr/local/bin/kubeadm');
    expect(await run({ containerRuntime: { cgroupDriver: 'cgroupfs' } })).toContain(
      'set host.preparation.containerRuntime.sandboxImage',
    );
  });

  it('is in files of its own for CRI-O, and those of containerd are taken away', async () => {
    await run({});
    await run(
      { containerRuntime: { type: 'crio', additionalConfig: '[crio]\n' } },
      { secrets: { registries: { 'https://a.example': { username: 'a', password: 'b' } } } },
    );
    expect(
      host.sh(
        'cd /etc/crio/crio.conf.d; ls; cat 98-ts-provider.conf; ls -A /etc/containerd 2>/dev/null || true',
      ),
    ).toBe(
      `98-ts-provider.conf
99-ts-provider.conf
# Written by ts-provider. Further settings come from the next file.
[crio.image]
pause_image = "registry.k8s.io/pause:3.10.2"
global_auth_file = "/etc/crio/ts-provider-auth.json"
pause_image_auth_file = "/etc/crio/ts-provider-auth.json"

[crio.runtime]
cgroup_manager = "systemd"
conmon_cgroup = "pod"
`,
    );
  });

  it('reaches the containerd that Flatcar brings', async () => {
    host.sh('rm -f /etc/os-release; echo ID=flatcar >/etc/os-release');
    await run({});
    expect(host.sh('cat /etc/systemd/system/containerd.service.d/ts-provider-config.conf')).toContain(
      'Environment=CONTAINERD_CONFIG=/etc/containerd/config.toml\n',
    );
    expect(await run({})).toBe('runtime_config: in place\n');
  });

  it('refuses what is not the name of an image', () => {
    const sandboxImage = `pause'; id; '`;
    expect(() => runtimeConfigSteps(inputOf({ containerRuntime: { sandboxImage } }))).toThrow(
      'containerRuntime.sandboxImage',
    );
  });
});

/** A service whose process is a shell that sleeps; /tmp/told has what was asked of systemd. */
const SYSTEMCTL = `mkdir -p /run/systemd/system /etc/containerd /run/containerd; : >/tmp/told
ln -sf /bin/true /usr/local/bin/containerd
perl -e 'use IO::Socket::UNIX; $s = IO::Socket::UNIX->new(Local => "/run/containerd/containerd.sock", Listen => 1); sleep 1000' >/dev/null 2>&1 </dev/null &
cat >/usr/local/bin/systemctl <<'END'
#!/bin/sh
alive() { [ -s /tmp/pid ] && kill -0 "$(cat /tmp/pid)" 2>/dev/null; }
begin() { sleep 1000 >/dev/null 2>&1 </dev/null & echo $! >/tmp/pid; }
case "$1" in
  is-active) alive ;;
  show) cat /tmp/pid ;;
  start) echo "$*" >>/tmp/told; [ ! -e /tmp/fails ] && begin ;;
  restart) echo "$*" >>/tmp/told; kill "$(cat /tmp/pid)"; begin ;;
esac
END
chmod +x /usr/local/bin/systemctl
while [ ! -S /run/containerd/containerd.sock ]; do sleep 0.1; done
`;

describe.skipIf(whyNot !== undefined)('the service, on a host of its own', { timeout: 60_000 }, () => {
  let host: PrivateHost;

  beforeEach(async () => {
    host = await startPrivateHost('system');
    host.sh(SYSTEMCTL);
    host.sh('echo one >/etc/containerd/config.toml');
  });
  afterEach(() => host?.close());

  async function run(): Promise<string> {
    const [step] = runtimeServiceSteps(inputOf({}));
    const { stdout, stderr } = await host.remote.run(quietContext(), stepScript(step!, '0123456789abcdef'));
    return stdout + stderr;
  }
  const told = (): string => host.sh('cat /tmp/told; : >/tmp/told');

  it('is started, and left alone after that', async () => {
    expect(await run()).toBe('runtime_service: applied\n');
    expect(told()).toBe('start containerd\n');
    expect(await run()).toBe('runtime_service: in place\n');
    expect(told()).toBe('');
  });

  it.each([
    ['configuration', 'echo two >/etc/containerd/config.toml'],
    [
      'additional configuration',
      'mkdir -p /etc/containerd/conf.d; echo x >/etc/containerd/conf.d/99-ts-provider.toml',
    ],
    ['proxy', 'mkdir -p /etc/ts-provider; echo x >/etc/ts-provider/proxy.env'],
    [
      'program',
      'rm /usr/local/bin/containerd; printf "#!/bin/sh\\n" >/usr/local/bin/containerd; chmod +x /usr/local/bin/containerd',
    ],
  ])('is restarted once for another %s', async (_, change) => {
    await run();
    host.sh(change);
    told();
    expect(await run()).toBe('runtime_service: applied\n');
    expect(told()).toBe('restart containerd\n');
    expect(await run()).toBe('runtime_service: in place\n');
  });

  it('is restarted as well when it was already running with the old one, and nobody knows since when', async () => {
    host.sh('systemctl start; : >/tmp/told; echo two >/etc/containerd/config.toml');
    await run();
    expect(told()).toBe('restart containerd\n');
  });

  it('is not restarted after a reboot or a crash, which read what is there', async () => {
    await run();
    host.sh(
      'kill "$(cat /tmp/pid)"; rm -f /run/ts-provider-runtime; sleep 2.5; systemctl start; : >/tmp/told',
    );
    expect(await run()).toBe('runtime_service: in place\n');
    expect(told()).toBe('');
  });

  it('notes the files that it depends on, so that a repair of them comes by', async () => {
    await run();
    expect(host.sh('cut -d " " -f 1,2,4 /var/lib/ts-provider/preparation/laid')).toBe(
      'restart runtime_service /etc/containerd/config.toml\n',
    );
  });

  it('says what the service said when it does not start', async () => {
    host.sh(
      'touch /tmp/fails; printf "#!/bin/sh\\necho no space in the config\\n" >/usr/local/bin/journalctl; chmod +x /usr/local/bin/journalctl',
    );
    expect(await run()).toContain('error: containerd does not start:  no space in the config');
  });
});
