// SPDX-License-Identifier: Apache-2.0
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { HostPreparation } from '../../api/preparation.ts';
import { quietContext } from '../../backends/host/job/local-host.fixtures.ts';
import {
  type PrivateHost,
  startPrivateHost,
  whyNoPrivateHost,
} from '../../backends/host/private-host.fixtures.ts';
import type { PreparationInput } from '../input.ts';
import { PreparationError } from '../preparation-error.ts';
import { stepScript } from '../script.ts';
import { inputOf } from './input.fixtures.ts';
import { registriesSteps } from './registries.ts';
import { tomlString } from './toml.ts';

const whyNot = whyNoPrivateHost();
if (whyNot !== undefined) console.log(`Registries are not tried on a host of its own: ${whyNot}.`);

/** What would end a word, a string or a here-document in the wrong place. */
const NASTY = `p'"\\$HOME\`id\`$(id)\nEND_OF_DATA\n]`;

const TWO: HostPreparation = {
  registries: [
    {
      name: 'registry.k8s.io',
      mirrors: [
        { endpoint: 'https://one.example:5000', authRef: { name: 'one' }, caBundle: `-----BEGIN\n${NASTY}` },
        { endpoint: 'https://two.example/v2/cache', overridePath: true, insecureSkipVerify: true },
      ],
    },
    { name: '*', fallback: true, mirrors: [{ endpoint: 'http://three.example:80/' }] },
  ],
};

const LOGINS: Partial<PreparationInput> = {
  secrets: { registries: { 'https://one.example:5000': { username: 'puller', password: NASTY } } },
};

const BASIC = Buffer.from(`puller:${NASTY}`).toString('base64');

describe.skipIf(whyNot !== undefined)('on a host of its own', { timeout: 60_000 }, () => {
  let host: PrivateHost;

  beforeEach(async () => {
    host = await startPrivateHost('system');
    host.sh('rm -rf /etc/containerd /etc/containers /etc/crio');
  });
  afterEach(() => host?.close());

  async function run(spec: HostPreparation, changes: Partial<PreparationInput> = {}): Promise<string> {
    const [step] = registriesSteps(inputOf(spec, changes));
    const { stdout, stderr } = await host.remote.run(quietContext(), stepScript(step!, '0123456789abcdef'));
    return stdout + stderr;
  }

  const files = (): string[] =>
    host
      .sh('cd /etc; find containerd containers crio -type f -printf "%p %m\\n" 2>/dev/null | sort')
      .split('\n')
      .filter(Boolean);

  it('containerd asks the mirrors in their order, and the registry only where that is said', async () => {
    expect(await run(TWO, LOGINS)).toBe('registries: applied\n');
    expect(files()).toEqual([
      'containerd/certs.d/_default/hosts.toml 600',
      'containerd/certs.d/registry.k8s.io/hosts.toml 600',
      'containerd/certs.d/registry.k8s.io/mirror-0.crt 644',
    ]);
    expect(host.sh('cat /etc/containerd/certs.d/registry.k8s.io/hosts.toml')).toBe(
      `# Written by ts-provider
server = "https://two.example/v2/cache"
capabilities = ["pull", "resolve"]
dial_timeout = "5s"
skip_verify = true
override_path = true

[host."https://one.example:5000"]
capabilities = ["pull", "resolve"]
dial_timeout = "5s"
ca = "/etc/containerd/certs.d/registry.k8s.io/mirror-0.crt"
[host."https://one.example:5000".header]
Authorization = "Basic ${BASIC}"
`,
    );
    expect(host.sh('cat /etc/containerd/certs.d/_default/hosts.toml')).toBe(
      `# Written by ts-provider

[host."http://three.example:80"]
capabilities = ["pull", "resolve"]
dial_timeout = "5s"
`,
    );
    expect(host.sh('cat /etc/containerd/certs.d/registry.k8s.io/mirror-0.crt')).toBe(`-----BEGIN\n${NASTY}`);
  });

  it('the login of the last mirror is that of the server', async () => {
    const mirrors = [{ endpoint: 'https://one.example:5000', authRef: { name: 'one' } }];
    await run({ registries: [{ name: 'a.example:5000', mirrors }] }, LOGINS);
    expect(host.sh('cat "/etc/containerd/certs.d/a.example:5000/hosts.toml"')).toContain(
      `server = "https://one.example:5000"\ncapabilities = ["pull", "resolve"]\ndial_timeout = "5s"\n\n[header]\nAuthorization = "Basic ${BASIC}"\n`,
    );
  });

  it('changes nothing the second time, and mends what was changed', async () => {
    await run(TWO, LOGINS);
    const before = host.snapshot();
    expect(await run(TWO, LOGINS)).toBe('registries: in place\n');
    expect(host.snapshot()).toEqual(before);
    host.sh(
      'chmod 644 /etc/containerd/certs.d/_default/hosts.toml; echo >>/etc/containerd/certs.d/registry.k8s.io/mirror-0.crt',
    );
    expect(await run(TWO, LOGINS)).toBe('registries: applied\n');
    expect(host.snapshot()).toEqual(before);
  });

  it('takes away what it no longer has, and leaves what others put there', async () => {
    host.sh(
      'mkdir -p /etc/containerd/certs.d/mine /etc/containerd/certs.d/_default; echo mine >/etc/containerd/certs.d/mine/hosts.toml; echo old >/etc/containerd/certs.d/_default/hosts.toml',
    );
    await run(TWO, LOGINS);
    expect(await run({})).toBe('registries: applied\n');
    expect(host.sh('cd /etc/containerd/certs.d; find . -type f | sort; cat _default/hosts.toml')).toBe(
      './_default/hosts.toml\n./mine/hosts.toml\nold\n',
    );
    expect(await run({})).toBe('registries: in place\n');
  });

  it('takes away as well what a preparation wrote that was ended in the middle', async () => {
    const [step] = registriesSteps(inputOf(TWO, LOGINS));
    const cut = {
      ...step!,
      apply: step!.apply.replace('write_file /etc/containerd/certs.d/_default', 'exit 9\n$&'),
    };
    await host.remote.run(quietContext(), stepScript(cut, '0123456789abcdef'));
    expect(files()).toHaveLength(2);
    expect(await run({})).toBe('registries: applied\n');
    expect(files()).toEqual([]);
  });

  it('leaves alone what the bootstrap wrote behind its end, when it is repaired', async () => {
    await run(TWO, LOGINS);
    const theirs = '/etc/containerd/certs.d/theirs.example/hosts.toml';
    host.sh(`cd /var/lib/ts-provider; echo 'created-file ${theirs}' >>manifest; rm preparation/incomplete
      echo '0123456789abcdef v1.36.3' >preparation/complete
      mkdir /etc/containerd/certs.d/theirs.example; echo theirs >${theirs}
      rm /etc/containerd/certs.d/_default/hosts.toml`);
    expect(await run(TWO, LOGINS)).toBe('registries: applied\n');
    expect(host.sh(`cat ${theirs}`)).toBe('theirs\n');
    expect(files()).toContain('containerd/certs.d/_default/hosts.toml 600');
  });

  it('CRI-O gets the same, in files of its own', async () => {
    const spec: HostPreparation = {
      registries: TWO.registries!.slice(0, 1),
      containerRuntime: { type: 'crio' },
    };
    await run(TWO, LOGINS);
    expect(await run(spec, LOGINS)).toBe('registries: applied\n');
    expect(files()).toEqual([
      'containers/certs.d/one.example:5000/ts-provider.crt 644',
      'containers/registries.conf.d/99-ts-provider.conf 644',
      'crio/ts-provider-auth.json 600',
    ]);
    expect(host.sh('cat /etc/containers/registries.conf.d/99-ts-provider.conf')).toBe(
      `# Written by ts-provider

[[registry]]
prefix = "registry.k8s.io"
location = "two.example/cache"
insecure = true
[[registry.mirror]]
location = "one.example:5000"
`,
    );
    expect(JSON.parse(host.sh('cat /etc/crio/ts-provider-auth.json'))).toEqual({
      auths: { 'one.example:5000': { auth: BASIC } },
    });
  });
});

describe('what is refused', () => {
  const of = (name: string, endpoint: string, more: object = {}): HostPreparation => ({
    registries: [{ name, mirrors: [{ endpoint, ...more }] }],
  });

  it.each([
    ['a name that leads elsewhere', of('..', 'https://a.example'), 'registries[..]'],
    ['an endpoint with quotes', of('a.example', `https://a.example/"]\nx`), 'mirrors[0].endpoint'],
    ['an endpoint with credentials', of('a.example', 'https://u:p@a.example'), 'mirrors[0].endpoint'],
    [
      'a Secret that was not read',
      of('a.example', 'https://b.example', { authRef: { name: 'x' } }),
      'mirrors[0].authRef',
    ],
    [
      'every registry for CRI-O',
      { ...of('*', 'https://b.example'), containerRuntime: { type: 'crio' } },
      'registries[*]',
    ],
    [
      'a path for CRI-O',
      { ...of('a.example', 'https://b.example/path'), containerRuntime: { type: 'crio' } },
      'mirrors[0].endpoint',
    ],
  ] as [string, HostPreparation, string][])('%s', (_, spec, path) => {
    expect(() => registriesSteps(inputOf(spec))).toThrow(PreparationError);
    expect(() => registriesSteps(inputOf(spec))).toThrow(path);
  });

  it('the same endpoint twice', () => {
    const mirrors = [{ endpoint: 'https://b.example' }, { endpoint: 'https://b.example/' }];
    expect(() => registriesSteps(inputOf({ registries: [{ name: 'a.example', mirrors }] }))).toThrow('twice');
  });
});

it('a string of TOML holds whatever is in it', () => {
  expect(tomlString('a"b\\c\nd\u007f')).toBe('"a\\"b\\\\c\\nd\\u007f"');
});
