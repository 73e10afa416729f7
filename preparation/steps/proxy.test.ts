// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPreparation } from '../../api/preparation.ts';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import {
  type PrivateHost,
  startPrivateHost,
  whyNoPrivateHost,
} from '../../backends/host/private-host.fixtures.ts';
import type { PreparationInput } from '../input.ts';
import { planScript, stepScript } from '../script.ts';
import { inputOf } from './input.fixtures.ts';
import { noProxy, percentEncoded, proxySteps } from './proxy.ts';

const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`The proxy is not tried on a host of its own: ${whyNot}.`);

const PROXY: HostPreparation = {
  proxy: {
    http: 'http://proxy.example:3128',
    https: 'http://proxy.example:3129',
    noProxy: ['.corp.example', 'mirror.example', '192.168.0.0/16'],
  },
};
const NASTY = `p'"\\$HOME\`id\`$(id)#%é;]`;
const WITH_LOGIN: HostPreparation = { proxy: { ...PROXY.proxy, credentialsRef: { name: 'proxy' } } };
const LOGIN: Partial<PreparationInput> = {
  secrets: { registries: {}, proxy: { username: 'us', password: NASTY } },
};

const DIRECT =
  'localhost,127.0.0.0/8,::1,.svc,.cluster.local,10.244.0.0/16,10.96.0.0/12,api.example.org,10.0.0.7,.corp.example,mirror.example,192.168.0.0/16';

describe.skipIf(whyNot !== undefined)('on a host of its own', { timeout: 60_000 }, () => {
  let host: PrivateHost;

  beforeEach(async () => {
    host = await startPrivateHost('system');
    host.sh('rm -f /etc/apt/apt.conf.d/*proxy* /etc/sysconfig/proxy /root/.curlrc');
  });
  afterEach(() => host?.close());

  async function run(spec: HostPreparation, changes: Partial<PreparationInput> = {}): Promise<string> {
    const [step] = proxySteps(inputOf(spec, changes));
    const { stdout, stderr } = await host.remote.run(quietContext(), stepScript(step!, '0123456789abcdef'));
    return stdout + stderr;
  }
  const isFamily = (id: string): string => host.sh(`rm -f /etc/os-release; echo ID=${id} >/etc/os-release`);
  const modes = (): string =>
    host.sh(
      "sed -n 's/^created-file //p; s/^file //p' /var/lib/ts-provider/manifest | xargs stat -c '%a %n' | sort -k 2",
    );

  it('goes to services, to the steps and to apt, and credentials only to what root alone may read', async () => {
    isFamily('debian');
    expect(await run(WITH_LOGIN, LOGIN)).toBe('proxy: applied\n');
    const url = `us:${percentEncoded(NASTY)}@proxy.example`;
    expect(host.sh('cat /etc/ts-provider/proxy.env')).toBe(
      `# Written by ts-provider\nHTTP_PROXY="http://${url}:3128"\nHTTPS_PROXY="http://${url}:3129"\nNO_PROXY="${DIRECT}"\n`,
    );
    expect(
      host.sh('. /var/lib/ts-provider/preparation/proxy; echo "$http_proxy $HTTPS_PROXY $no_proxy"'),
    ).toBe(`http://${url}:3128 http://${url}:3129 ${DIRECT}\n`);
    expect(host.sh('cat /etc/systemd/system/containerd.service.d/ts-provider-proxy.conf')).toContain(
      '[Service]\nEnvironmentFile=/etc/ts-provider/proxy.env\n',
    );
    expect(host.sh('apt-config dump | grep -i "https\\?::proxy"')).toBe(
      [
        ...['http', 'https'].flatMap((scheme) => [
          `Acquire::${scheme}::Proxy "http://proxy.example:${scheme === 'http' ? 3128 : 3129}";`,
          ...['localhost', 'api.example.org', '10.0.0.7', 'mirror.example'].map(
            (name) => `Acquire::${scheme}::Proxy::${name} "DIRECT";`,
          ),
        ]),
        '',
      ].join('\n'),
    );
    expect(host.sh('cat /etc/apt/auth.conf.d/ts-provider-proxy.conf')).toContain(
      `machine http://proxy.example:3128 login us password ${NASTY}\n`,
    );
    expect(modes()).toBe(
      [
        '644 /etc/apt/apt.conf.d/95ts-provider-proxy',
        '600 /etc/apt/auth.conf.d/ts-provider-proxy.conf',
        '644 /etc/systemd/system/containerd.service.d/ts-provider-proxy.conf',
        '644 /etc/systemd/system/kubelet.service.d/ts-provider-proxy.conf',
        '600 /etc/ts-provider/proxy.env',
        '600 /var/lib/ts-provider/preparation/proxy',
        '',
      ].join('\n'),
    );
    expect(host.sh('cat /etc/environment 2>/dev/null || true')).not.toContain('proxy.example');
  });

  it.each(['debian', 'rocky', 'sles'])(
    'changes nothing the second time on %s, and takes all of it away again',
    async (id) => {
      isFamily(id);
      host.sh(
        "mkdir -p /etc/dnf /etc/sysconfig; printf '[main]\\ngpgcheck=1\\nproxy=http://old\\n[other]\\n' >/etc/dnf/dnf.conf",
      );
      const before = host.snapshot().filter((line) => !line.includes('lib/ts-provider'));
      await run(WITH_LOGIN, LOGIN);
      const after = host.snapshot();
      expect(await run(WITH_LOGIN, LOGIN)).toBe('proxy: in place\n');
      expect(host.snapshot()).toEqual(after);
      expect(await run({})).toBe('proxy: applied\n');
      expect(host.snapshot().filter((line) => !line.includes('lib/ts-provider'))).toEqual(before);
      expect(await run({})).toBe('proxy: in place\n');
    },
  );

  it('goes into the one file that dnf has', async () => {
    isFamily('rocky');
    host.sh(
      "mkdir -p /etc/dnf; printf '[main]\\ngpgcheck=1\\nproxy = http://old\\nproxy_password=x\\n' >/etc/dnf/dnf.conf",
    );
    await run(PROXY);
    expect(host.sh('cat /etc/dnf/dnf.conf; stat -c %a /etc/dnf/dnf.conf')).toBe(
      '[main]\nproxy=http://proxy.example:3129\ngpgcheck=1\n644\n',
    );
    await run(WITH_LOGIN, LOGIN);
    expect(host.sh('cat /etc/dnf/dnf.conf; stat -c %a /etc/dnf/dnf.conf')).toBe(
      `[main]\nproxy=http://proxy.example:3129\nproxy_username=us\nproxy_password=${NASTY}\ngpgcheck=1\n600\n`,
    );
  });

  it('is known to the steps behind it, also in one script', async () => {
    isFamily('debian');
    const [proxy] = proxySteps(inputOf(PROXY));
    const next = { ...proxy!, id: 'next', check: '[ -n "$applied" ]', apply: 'say "$https_proxy"' };
    const script = planScript({ steps: [proxy!, next], hash: '0123456789abcdef' });
    const { stdout } = await host.remote.run(quietContext(), script);
    expect(stdout).toContain('proxy: applied\nhttp://proxy.example:3129\n');
  });

  it('goes where zypper looks', async () => {
    isFamily('opensuse-leap');
    host.sh(
      'mkdir -p /etc/sysconfig; printf \'PROXY_ENABLED="no"\\nFTP_PROXY=""\\n\' >/etc/sysconfig/proxy; echo silent >/root/.curlrc',
    );
    await run(WITH_LOGIN, LOGIN);
    expect(host.sh('cat /etc/sysconfig/proxy')).toBe(
      `FTP_PROXY=""\nPROXY_ENABLED="yes"\nHTTP_PROXY="http://proxy.example:3128"\nHTTPS_PROXY="http://proxy.example:3129"\nNO_PROXY="${DIRECT.replaceAll(',', ', ')}"\n`,
    );
    expect(host.sh('cat /root/.curlrc; stat -c %a /root/.curlrc')).toBe(
      `silent\nproxy-user = "us:${NASTY.replace(/["\\]/g, '\\$&')}"\n600\n`,
    );
  });

  it('a kubelet that runs gets it once, also when it was interrupted on the way', async () => {
    isFamily('debian');
    host.sh(`mkdir -p /run/systemd/system; touch /tmp/fails
cat >/usr/local/bin/systemctl <<'END'
#!/bin/sh
echo "$*" >>/tmp/told
[ "$1" != try-restart ] || [ ! -e /tmp/fails ]
END
chmod +x /usr/local/bin/systemctl`);
    expect(await run(PROXY)).toContain('error: systemctl try-restart kubelet');
    host.sh('rm /tmp/fails; : >/tmp/told');
    expect(await run(PROXY)).toBe('proxy: applied\n');
    expect(host.sh('cat /tmp/told')).toContain('try-restart kubelet\n');
    expect(await run(PROXY)).toBe('proxy: in place\n');
  });
});

describe('the proxy of a preparation', () => {
  it('is not asked for what is in the cluster', () => {
    expect(noProxy(inputOf(PROXY)).join(',')).toBe(DIRECT);
  });

  it.each([
    ['a path', { proxy: { http: 'http://proxy.example/path' } }, 'proxy.http'],
    ['credentials', { proxy: { https: 'http://u:p@proxy.example' } }, 'proxy.https'],
    ['shell', { proxy: { http: 'http://$(id).example' } }, 'proxy.http'],
    ['a line', { proxy: { http: 'http://a', noProxy: ['a\nb'] } }, 'proxy.noProxy[0]'],
    ['a quote', { proxy: { http: 'http://a', noProxy: ['a', "b'c"] } }, 'proxy.noProxy[1]'],
    [
      'a Secret that was not read',
      { proxy: { http: 'http://a', credentialsRef: { name: 'x' } } },
      'proxy.credentialsRef',
    ],
  ] as [string, HostPreparation, string][])('may not have %s', (_, spec, path) => {
    expect(() => proxySteps(inputOf(spec))).toThrow(path);
  });

  it.each(['a b', 'a\nb', ''])('may not have the password %j', (password) => {
    const secrets = { registries: {}, proxy: { username: 'u', password } };
    expect(() => proxySteps(inputOf(WITH_LOGIN, { secrets }))).toThrow('a password has no white space');
  });

  it('has its password in percent signs, as every reader of URLs takes them', () => {
    expect(decodeURIComponent(percentEncoded(NASTY))).toBe(NASTY);
    expect(percentEncoded(NASTY)).toMatch(/^[\w.%-]+$/);
    expect(execFileSync('sh', ['-c', `echo ${percentEncoded(NASTY)}`], { encoding: 'utf8' })).toBe(
      `${percentEncoded(NASTY)}\n`,
    );
  });
});
