// SPDX-License-Identifier: Apache-2.0
// Where images are pulled from: for each registry its mirrors, in their order.
import { Buffer } from 'node:buffer';
import type { RegistryMirror, RegistryMirrors } from '../../api/preparation.ts';
import type { Login, PreparationInput } from '../input.ts';
import { PreparationError } from '../preparation-error.ts';
import { type FileContent, isFile, writeFile } from '../shell.ts';
import type { PreparationStep } from '../step.ts';
import { CERTS_FOLDER, CRIO_LOGINS } from './runtime-config.ts';
import { RESTARTS } from './service.ts';
import { STALE, staleFiles } from './stale.ts';
import { tomlString } from './toml.ts';

const MARK = '# Written by ts-provider\n';
const CRIO_REGISTRIES = '/etc/containers/registries.conf.d/99-ts-provider.conf';
const CRIO_CERTS = '/etc/containers/certs.d';

/** A mirror that cannot be reached must not take a minute each time. */
const DIAL_TIMEOUT = '5s';

/** The step `registries`. containerd reads the files at each pull, CRI-O when it is told; nothing is restarted. */
export function registriesSteps(input: PreparationInput): PreparationStep[] {
  const crio = input.spec.containerRuntime?.type === 'crio';
  const files = filesOf(input);
  const patterns = [`${CERTS_FOLDER}/*`, CRIO_REGISTRIES, `${CRIO_CERTS}/*/ts-provider.crt`, CRIO_LOGINS];
  const stale = staleFiles(
    patterns,
    files.map(({ path }) => path),
  );
  const prefix = `${RESTARTS}${STALE}`;
  return [
    {
      id: 'registries',
      impact: 'none',
      deadlineSeconds: 60,
      check: [
        `${prefix}! owes_restart registries && [ -z "$(${stale})" ] || return 1\n`,
        ...files.map((file) => `${isFile(file)} || return 1\n`),
      ].join(''),
      apply: [
        `${prefix}owe_restart registries\n${stale} | put_back\n`,
        ...files.map(writeFile),
        crio
          ? 'if has_systemd && systemctl is-active --quiet crio; then pay_restart registries crio reload; fi\n'
          : '',
        'rm -f -- "$preparation/restart-registries"\n',
      ].join(''),
    },
  ];
}

interface Mirror extends RegistryMirror {
  /** For messages. */
  readonly path: string;
  /** Scheme, host and port. */
  readonly origin: string;
  readonly host: string;
  /** Without a slash at its end; may be empty. */
  readonly folder: string;
  readonly login?: Login;
}

interface Registry {
  readonly name: string;
  readonly fallback: boolean;
  readonly path: string;
  readonly mirrors: readonly Mirror[];
}

function filesOf(input: PreparationInput): FileContent[] {
  const registries = (input.spec.registries ?? []).map((registry) => registryOf(registry, input));
  if (input.spec.containerRuntime?.type === 'crio') return crioFiles(registries);
  return registries.flatMap(containerdFiles);
}

function registryOf({ name, mirrors, fallback }: RegistryMirrors, input: PreparationInput): Registry {
  const path = `registries[${name}]`;
  if (!/^(\*|[A-Za-z0-9][A-Za-z0-9.-]*(:\d+)?)$/.test(name)) {
    throw new PreparationError(path, 'is not the name of a registry');
  }
  const endpoints = mirrors.map(({ endpoint }) => endpoint.replace(/\/$/, ''));
  if (new Set(endpoints).size < endpoints.length)
    throw new PreparationError(`${path}.mirrors`, 'has the same endpoint twice');
  const of = (mirror: RegistryMirror, index: number): Mirror =>
    mirrorOf(mirror, `${path}.mirrors[${index}]`, input);
  return { name, path, fallback: fallback === true, mirrors: mirrors.map(of) };
}

function mirrorOf(mirror: RegistryMirror, path: string, { secrets }: PreparationInput): Mirror {
  const found =
    /^(https?:\/\/([A-Za-z0-9._-]+(?::\d+)?|\[[0-9A-Fa-f:.]+\](?::\d+)?))((?:\/[\w.~%+-]+)*)\/?$/.exec(
      mirror.endpoint,
    );
  if (!found)
    throw new PreparationError(`${path}.endpoint`, 'is not like https://registry.example.org:5000/path');
  const login = secrets.registries[mirror.endpoint];
  if (mirror.authRef && !login) {
    throw new PreparationError(`${path}.authRef`, 'the content of its Secret is not there');
  }
  return { ...mirror, path, origin: found[1]!, host: found[2]!, folder: found[3]!, ...(login && { login }) };
}

function basic({ username, password }: Login): string {
  return Buffer.from(`${username}:${password}`).toString('base64');
}

/**
 * Without `server` containerd asks the registry itself at the end. So where only mirrors are to be asked, the last of them is the server.
 */
function containerdFiles({ name, mirrors, fallback }: Registry): FileContent[] {
  const folder = `${CERTS_FOLDER}/${name === '*' ? '_default' : name}`;
  const certificate = (mirror: Mirror): string => `${folder}/mirror-${mirrors.indexOf(mirror)}.crt`;
  const settings = (mirror: Mirror): string[] => [
    'capabilities = ["pull", "resolve"]',
    `dial_timeout = "${DIAL_TIMEOUT}"`,
    ...(mirror.caBundle === undefined ? [] : [`ca = ${tomlString(certificate(mirror))}`]),
    ...(mirror.insecureSkipVerify ? ['skip_verify = true'] : []),
    ...(mirror.overridePath ? ['override_path = true'] : []),
  ];
  const header = (table: string, { login }: Mirror): string[] =>
    login ? [`[${table}]`, `Authorization = ${tomlString(`Basic ${basic(login)}`)}`] : [];
  const server = fallback ? undefined : mirrors.at(-1);
  const lines = [
    ...(server ? [`server = ${tomlString(server.origin + server.folder)}`, ...settings(server)] : []),
    ...mirrors
      .filter((mirror) => mirror !== server)
      .flatMap((mirror) => {
        const table = `host.${tomlString(mirror.origin + mirror.folder)}`;
        return ['', `[${table}]`, ...settings(mirror), ...header(`${table}.header`, mirror)];
      }),
    ...(server?.login ? ['', ...header('header', server)] : []),
  ];
  return [
    { path: `${folder}/hosts.toml`, mode: 0o600, content: `${MARK}${lines.join('\n')}\n` },
    ...mirrors.flatMap((mirror) =>
      mirror.caBundle === undefined
        ? []
        : [{ path: certificate(mirror), mode: 0o644, content: mirror.caBundle }],
    ),
  ];
}

/** The registry itself is always asked last here as well: where it shall not be, the last mirror takes its place. */
function crioFiles(registries: readonly Registry[]): FileContent[] {
  const mirrors = registries.flatMap((registry) => registry.mirrors);
  const logins = mirrors.flatMap(({ host, login }) =>
    login ? [[host, { auth: basic(login) }] as const] : [],
  );
  const bundles = new Map(
    mirrors.flatMap(({ host, caBundle }) => (caBundle === undefined ? [] : [[host, caBundle] as const])),
  );
  return [
    ...(registries.length === 0
      ? []
      : [{ path: CRIO_REGISTRIES, mode: 0o644, content: MARK + registries.map(crioRegistry).join('') }]),
    ...[...bundles].map(([host, bundle]) => ({
      path: `${CRIO_CERTS}/${host}/ts-provider.crt`,
      mode: 0o644,
      content: bundle,
    })),
    ...(logins.length === 0
      ? []
      : [
          {
            path: CRIO_LOGINS,
            mode: 0o600,
            content: `${JSON.stringify({ auths: Object.fromEntries(logins) })}\n`,
          },
        ]),
  ];
}

function crioRegistry({ name, path, mirrors, fallback }: Registry): string {
  if (name === '*')
    throw new PreparationError(path, 'CRI-O has no mirrors for every other registry: name each');
  const place = (mirror: Mirror): string[] => [
    `location = ${tomlString(crioLocation(mirror))}`,
    ...(mirror.insecureSkipVerify || mirror.origin.startsWith('http:') ? ['insecure = true'] : []),
  ];
  const last = fallback ? undefined : mirrors.at(-1);
  const lines = [
    '[[registry]]',
    `prefix = ${tomlString(name)}`,
    ...(last ? place(last) : [`location = ${tomlString(name)}`]),
    ...mirrors
      .filter((mirror) => mirror !== last)
      .flatMap((mirror) => ['[[registry.mirror]]', ...place(mirror)]),
  ];
  return `\n${lines.join('\n')}\n`;
}

/** A path of CRI-O stands behind /v2, one of containerd before it, or in its place. */
function crioLocation({ path, host, folder, overridePath }: Mirror): string {
  if (!overridePath && folder === '') return host;
  const behind = /^\/v2(\/.*)?$/.exec(folder);
  if (overridePath && behind) return host + (behind[1] ?? '');
  throw new PreparationError(
    `${path}.endpoint`,
    'CRI-O reads a path only behind /v2: write https://host/v2/path with overridePath',
  );
}
