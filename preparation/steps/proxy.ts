// SPDX-License-Identifier: Apache-2.0
// Where everything that is fetched goes through: by services of systemd, by package managers, and by the steps themselves.
import { Buffer } from 'node:buffer';
import type { Login, PreparationInput } from '../input.ts';
import { PROXY_FILE } from '../library/fetch.ts';
import { PreparationError } from '../preparation-error.ts';
import { type FileContent, isFile, quote, writeFile } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { RESTARTS } from './service.ts';
import { STALE, staleFiles } from './stale.ts';

const MARK = '# Written by ts-provider\n';

/** For services: systemd reads it, and nobody but root. */
export const PROXY_ENVIRONMENT_FILE = '/etc/ts-provider/proxy.env';

/** The drop-in of a service that names it. */
export function proxyDropIn(unit: string): string {
  return `/etc/systemd/system/${unit}.service.d/ts-provider-proxy.conf`;
}

const DNF = '/etc/dnf/dnf.conf';
const SUSE = '/etc/sysconfig/proxy';
const CURL = '/root/.curlrc';
const APT = '/etc/apt/apt.conf.d/95ts-provider-proxy';
const APT_LOGIN = '/etc/apt/auth.conf.d/ts-provider-proxy.conf';
const UNITS = ['containerd', 'crio', 'kubelet'];

/** Every path that this step may ever write to. */
const PATHS = [
  PROXY_FILE,
  PROXY_ENVIRONMENT_FILE,
  ...UNITS.map(proxyDropIn),
  APT,
  APT_LOGIN,
  DNF,
  SUSE,
  CURL,
];

/** Whom a host asks without the proxy. Throws PreparationError for what is neither a name nor a network. */
export function noProxy({ spec, network }: PreparationInput): string[] {
  const more = spec.proxy?.noProxy ?? [];
  const wrong = more.findIndex((one) => !/^[\w.:*/[\]-]+$/.test(one));
  if (wrong >= 0) {
    throw new PreparationError(`proxy.noProxy[${wrong}]`, 'is neither a host nor a domain nor a network');
  }
  return [
    ...new Set([
      ...['localhost', '127.0.0.0/8', '::1', '.svc', `.${network.serviceDomain}`],
      ...[...network.podCIDRs, ...network.serviceCIDRs],
      ...[network.endpointHost, network.nodeAddress].filter((one) => one !== undefined && one !== ''),
      ...more,
    ] as string[]),
  ];
}

interface Proxy {
  /** Without credentials. */
  readonly http?: string;
  readonly https?: string;
  readonly login?: Login;
  readonly direct: readonly string[];
}

/** The step `proxy`. Without a proxy in the spec it takes away what an earlier preparation left. */
export function proxySteps(input: PreparationInput): PreparationStep[] {
  const proxy = proxyOf(input);
  const unit = input.spec.containerRuntime?.type ?? 'containerd';
  const files = proxy ? filesOf(proxy, unit) : [];
  const apt = proxy ? aptFilesOf(proxy) : [];
  const edits = proxy ? editsOf(proxy) : '';
  const keep = [...files, ...apt].map(({ path }) => path);
  const stale = staleFiles(PATHS, [...keep, ...(proxy ? editedPaths(proxy) : [])]);
  const prefix = `${RESTARTS}${STALE}${edits}`;
  const onApt = (commands: string): string =>
    proxy ? `if [ "$family" = debian ]; then\n${commands}fi\n` : '';
  return [
    {
      id: 'proxy',
      impact: 'restart',
      deadlineSeconds: 120,
      check: [
        `${prefix}! owes_restart proxy && [ -z "$(${stale})" ] || return 1\n`,
        ...files.map((file) => `${isFile(file)} || return 1\n`),
        onApt(apt.map((file) => `${isFile(file)} || return 1\n`).join('')),
        proxy ? 'are_edited\n' : '',
      ].join(''),
      apply: [
        `${prefix}owe_restart proxy\n${stale} | put_back\n`,
        ...files.map(writeFile),
        onApt(apt.map(writeFile).join('')),
        proxy ? 'edit\n' : '',
        'if has_systemd; then systemctl daemon-reload; fi\npay_restart proxy kubelet try-restart\n',
      ].join(''),
    },
  ];
}

function proxyOf(input: PreparationInput): Proxy | undefined {
  const { proxy } = input.spec;
  if (proxy === undefined || (proxy.http ?? proxy.https) === undefined) return undefined;
  const login = loginOf(input);
  return {
    ...(proxy.http !== undefined && { http: addressOf('proxy.http', proxy.http) }),
    ...(proxy.https !== undefined && { https: addressOf('proxy.https', proxy.https) }),
    ...(login && { login }),
    direct: noProxy(input),
  };
}

/** Files of several programs hold it, and none of these has a way to write white space. */
function loginOf({ spec, secrets }: PreparationInput): Login | undefined {
  if (spec.proxy?.credentialsRef === undefined) return undefined;
  const wrong = (message: string): PreparationError => new PreparationError('proxy.credentialsRef', message);
  const login = secrets.proxy;
  if (!login) throw wrong('the content of its Secret is not there');
  if (!/^[^\s\p{Cc}:]+$/u.test(login.username)) throw wrong('a username has neither white space nor a colon');
  if (!/^[^\s\p{Cc}]+$/u.test(login.password)) throw wrong('a password has no white space');
  return login;
}

/** Scheme, host and port: what every program understands in the same way. */
function addressOf(path: string, url: string): string {
  const found = /^(https?):\/\/([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:\d{1,5})?\/?$/.exec(url);
  if (!found) {
    throw new PreparationError(
      path,
      'is not like http://proxy.example.org:3128; credentials belong into the Secret of credentialsRef',
    );
  }
  return `${found[1]}://${found[2]}${found[3] ?? ''}`;
}

/** For environments. Everything that is not plain is in percent signs, so no reader takes it for something else. */
function withLogin(url: string | undefined, login: Login | undefined): string | undefined {
  if (url === undefined || !login) return url;
  return url.replace('://', () => `://${percentEncoded(login.username)}:${percentEncoded(login.password)}@`);
}

/** A word as URLs of ours have it. */
export function percentEncoded(word: string): string {
  return [...Buffer.from(word)]
    .map((byte) => {
      const sign = String.fromCharCode(byte);
      return /[\w.-]/.test(sign) ? sign : `%${byte.toString(16).toUpperCase().padStart(2, '0')}`;
    })
    .join('');
}

function filesOf(proxy: Proxy, unit: string): FileContent[] {
  const variables = Object.entries({
    http_proxy: withLogin(proxy.http, proxy.login),
    https_proxy: withLogin(proxy.https, proxy.login),
    no_proxy: proxy.direct.join(','),
  }).flatMap(([name, value]) => (value === undefined ? [] : [[name, value] as const]));
  const shell = variables.flatMap(([name, value]) => [
    `${name}=${quote(value)}\n`,
    `${name.toUpperCase()}=${quote(value)}\n`,
  ]);
  const service = variables.map(([name, value]) => `${name.toUpperCase()}="${value}"\n`);
  return [
    { path: PROXY_FILE, mode: 0o600, content: shell.join('') },
    { path: PROXY_ENVIRONMENT_FILE, mode: 0o600, content: MARK + service.join('') },
    ...[unit, 'kubelet'].map((name) => ({
      path: proxyDropIn(name),
      mode: 0o644,
      content: `${MARK}[Service]\nEnvironmentFile=${PROXY_ENVIRONMENT_FILE}\n`,
    })),
  ];
}

/** apt takes credentials of a proxy from where it has those of repositories, so everybody may read the rest. */
function aptFilesOf({ http, https, login, direct }: Proxy): FileContent[] {
  const urls = Object.entries({ http, https }).flatMap(([scheme, url]) =>
    url === undefined ? [] : [[scheme, url] as const],
  );
  const hosts = direct.filter((one) => /^[A-Za-z0-9.-]+$/.test(one) && !one.startsWith('.'));
  const lines = urls.flatMap(([scheme, url]) => [
    `Acquire::${scheme}::Proxy "${url}";\n`,
    ...hosts.map((host) => `Acquire::${scheme}::Proxy::${host} "DIRECT";\n`),
  ]);
  const machines = [...new Set(urls.map(([, url]) => url))].map(
    (url) => `machine ${url} login ${login?.username} password ${login?.password}\n`,
  );
  return [
    { path: APT, mode: 0o644, content: `// Written by ts-provider\n${lines.join('')}` },
    ...(login ? [{ path: APT_LOGIN, mode: 0o600, content: MARK + machines.join('') }] : []),
  ];
}

function editedPaths({ login }: Proxy): string[] {
  return login ? [DNF, SUSE, CURL] : [DNF, SUSE];
}

/**
 * Files that have other lines as well: ours replace those of the same keys. What makes the new file gets ours from a variable, since
 * arguments of programs are seen by everybody.
 */
function editsOf({ http, https, login, direct }: Proxy): string {
  const dnf = [
    `proxy=${https ?? http}`,
    ...(login ? [`proxy_username=${login.username}`, `proxy_password=${login.password}`] : []),
  ];
  const suse = [
    'PROXY_ENABLED="yes"',
    `HTTP_PROXY="${http ?? ''}"`,
    `HTTPS_PROXY="${https ?? ''}"`,
    `NO_PROXY="${direct.join(', ')}"`,
  ];
  const curl = login
    ? [`proxy-user = "${`${login.username}:${login.password}`.replace(/["\\]/g, '\\$&')}"`]
    : [];
  const lines = { dnf, suse, curl };
  return [
    ...Object.entries(lines).map(([name, text]) => `${name}_lines=${quote(text.join('\n'))}\n`),
    `dnf_mode=${login ? '0600' : '0644'}\n`,
    EDITS,
  ].join('');
}

const EDITS = String.raw`
dnf_edited() {
  if [ -f ${DNF} ]; then cat ${DNF}; fi | ours=$dnf_lines awk '
    /^[ \t]*proxy(_username|_password)?[ \t]*=/ { next }
    { print }
    /^\[main\]/ && !done { print ENVIRON["ours"]; done = 1 }
    END { if (!done) print "[main]\n" ENVIRON["ours"] }'
}
suse_edited() {
  if [ -f ${SUSE} ]; then grep -Ev '^(PROXY_ENABLED|HTTP_PROXY|HTTPS_PROXY|NO_PROXY)=' ${SUSE}; fi
  printf '%s\n' "$suse_lines"
}
curl_edited() {
  if [ -f ${CURL} ]; then grep -Ev '^[ \t]*(-U|--?proxy-user)|^[ \t]*proxy-user' ${CURL}; fi
  printf '%s\n' "$curl_lines"
}
are_edited() {
  case "$family" in
    rhel) dnf_edited | same_file ${DNF} "$dnf_mode" ;;
    suse) suse_edited | same_file ${SUSE} 0644 && { [ -z "$curl_lines" ] || curl_edited | same_file ${CURL} 0600; } ;;
  esac
}
edit() {
  case "$family" in
    rhel) dnf_edited | put_file ${DNF} "$dnf_mode" ;;
    suse)
      suse_edited | put_file ${SUSE} 0644
      if [ -n "$curl_lines" ]; then curl_edited | put_file ${CURL} 0600; fi ;;
  esac
}
`;
