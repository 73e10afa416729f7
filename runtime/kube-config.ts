// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import path from 'node:path';
import { createSecureContext } from 'node:tls';
import { KubeConfig } from '@kubernetes/client-node';
import { type Document, parseDocument } from 'yaml';

/** Where an API server is and who we are there. `load` reads it anew: tokens and certificates on disk change. */
export interface KubeConfigSource {
  /** URL of the API server, for logs. */
  readonly server: string;
  readonly load: () => KubeConfig;
}

const SERVICE_ACCOUNT_TOKEN = '/var/run/secrets/kubernetes.io/serviceaccount/token';

/**
 * The kubeconfig of this process: `path`, else the files in KUBECONFIG, else the Pod's service account, else ~/.kube/config.
 * Throws an Error that names the file and what is wrong with it, or says where it looked. Never quotes a file.
 */
export function loadKubeConfig(
  options: { readonly path?: string | undefined; readonly env?: NodeJS.ProcessEnv } = {},
): KubeConfigSource {
  const env = options.env ?? process.env;
  const fromHome = path.join(env['HOME'] ?? homedir(), '.kube', 'config');
  const files = options.path ? [options.path] : filesIn(env['KUBECONFIG']);
  if (files.length > 0) return sourceOf(() => fromFiles(files));
  if (env['KUBERNETES_SERVICE_HOST'] && existsSync(SERVICE_ACCOUNT_TOKEN))
    return sourceOf(fromServiceAccount);
  if (existsSync(fromHome)) return sourceOf(() => fromFiles([fromHome]));
  throw new Error(
    `No kubeconfig: pass --kubeconfig FILE, set KUBECONFIG, write ${fromHome}, or run in a Pod with a service account`,
  );
}

/**
 * The kubeconfig of a workload cluster, from its text. Throws an Error that says what is wrong and quotes nothing of the text.
 * Whoever may write the Secret must not run programs or read files as the manager: exec, auth-provider and file names are refused.
 */
export function kubeConfigFromString(text: string): KubeConfigSource {
  return sourceOf(() => {
    const kubeConfig = fromText(text);
    if (kubeConfig.users.some((user) => user.exec || user.authProvider)) {
      throw new Error(
        'a user has an exec, auth-provider or tokenFile section; embed the credentials instead',
      );
    }
    const namesFiles =
      kubeConfig.users.some((user) => user.certFile || user.keyFile) ||
      kubeConfig.clusters.some((cluster) => cluster.caFile);
    if (namesFiles) throw new Error('it names files; embed the certificates and keys instead');
    return kubeConfig;
  });
}

function filesIn(list: string | undefined): string[] {
  return (list ?? '').split(path.delimiter).filter((file) => file !== '');
}

/** Looks at it once, so that a mistake is told at the start and not with the first request. */
function sourceOf(read: () => KubeConfig): KubeConfigSource {
  const load = (): KubeConfig => {
    const kubeConfig = read();
    check(kubeConfig);
    return kubeConfig;
  };
  return { server: load().getCurrentCluster()?.server ?? '', load };
}

function fromServiceAccount(): KubeConfig {
  const kubeConfig = new KubeConfig();
  kubeConfig.loadFromCluster();
  return kubeConfig;
}

/** Several files are merged; the first one that names a current context wins. */
function fromFiles(files: readonly string[]): KubeConfig {
  const merged = new KubeConfig();
  for (const file of files) {
    try {
      const one = fromText(readFileSync(file, 'utf8'), path.dirname(path.resolve(file)));

      merged.mergeConfig(one, Boolean(merged.currentContext));
    } catch (error) {
      throw new Error(`Cannot use the kubeconfig ${file}`, { cause: error });
    }
  }
  return merged;
}

interface RawUser {
  readonly name?: string;
  readonly user?: {
    readonly token?: string;
    readonly tokenFile?: string;
    readonly 'token-file'?: string;
  } | null;
}

/** File names are relative to `folder`. */
function fromText(text: string, folder = ''): KubeConfig {
  const raw = parseYaml(text);
  const kubeConfig = new KubeConfig();
  const tokenFiles = new Map<string, string>();
  for (const { name, user } of raw.users ?? []) {
    if (user?.['token-file'])
      throw new Error('users[].user.token-file is not a kubeconfig field; use tokenFile');
    if (name !== undefined && user?.tokenFile && !user.token)
      tokenFiles.set(name, path.resolve(folder, user.tokenFile));
  }
  // What we parsed, as JSON: client-node's own parser knows other tags than ours, and its errors quote the text.
  kubeConfig.loadFromString(JSON.stringify(raw));
  kubeConfig.makePathsAbsolute(folder);
  // client-node does not know tokenFile; its provider of this name reads the file again every minute.
  kubeConfig.users = kubeConfig.users.map((user) => {
    const tokenFile = tokenFiles.get(user.name);
    return tokenFile === undefined
      ? user
      : { ...user, authProvider: { name: 'tokenFile', config: { tokenFile } } };
  });
  return kubeConfig;
}

/** Messages of YAML errors quote the text, which holds keys: only the place is told. */
function parseYaml(text: string): { users?: RawUser[] } {
  const document = parseDocument(text);
  const [problem] = document.errors;
  if (problem !== undefined) throw new Error(`it is not valid YAML (line ${problem.linePos?.[0].line ?? 1})`);
  const value = resolve(document);
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw new Error('it is not a YAML object');
  return value;
}

/** Aliases are looked up here: one that means nothing, that means too much, or that holds itself shows only now. */
function resolve(document: Document): unknown {
  try {
    const value: unknown = document.toJS();
    JSON.stringify(value);
    return value;
  } catch {
    throw new Error('its YAML aliases cannot be resolved');
  }
}

/** What undici can speak to a proxy. */
const PROXY_SCHEMES = ['http:', 'https:', 'socks5:', 'socks:'];

function check(kubeConfig: KubeConfig): void {
  const context = kubeConfig.getContextObject(kubeConfig.currentContext);
  if (!kubeConfig.currentContext) throw new Error('it has no current-context');
  if (context === null) throw new Error('its current-context is not among its contexts');
  const cluster = kubeConfig.getCurrentCluster();
  if (cluster === null) throw new Error('the cluster of its current-context is not among its clusters');
  const user = kubeConfig.getCurrentUser();
  if (user === null) throw new Error('the user of its current-context is not among its users');
  if (!hasScheme(cluster.server, ['http:', 'https:'])) throw new Error('its server is not a URL of https');
  if (cluster.proxyUrl && !hasScheme(cluster.proxyUrl, PROXY_SCHEMES))
    throw new Error('its proxy-url is not a URL of http, https or socks5');
  if (cluster.server.startsWith('http:') && !cluster.skipTLSVerify) {
    throw new Error('its server is plain http; that needs insecure-skip-tls-verify: true');
  }
  checkPem('certificate-authority-data', { ca: decode(cluster.caData) });
  checkPem('client-certificate-data and client-key-data', {
    cert: decode(user.certData),
    key: decode(user.keyData),
  });
}

function hasScheme(url: string, schemes: readonly string[]): boolean {
  return schemes.includes(URL.parse(url)?.protocol ?? '');
}

function decode(data: string | undefined): Buffer | undefined {
  return data ? Buffer.from(data, 'base64') : undefined;
}

/** A certificate that does not parse, or a key that is not the certificate's, shows here and not as a failed handshake later. */
function checkPem(
  what: string,
  material: { ca?: Buffer | undefined; cert?: Buffer | undefined; key?: Buffer | undefined },
): void {
  for (const pem of Object.values(material)) {
    if (pem !== undefined && !pem.includes('-----BEGIN '))
      throw new Error(`its ${what} is not base64 of PEM`);
  }
  try {
    createSecureContext({ ...material });
  } catch (error) {
    const why = "the PEM is damaged, or the key is not the certificate's";
    throw new Error(`its ${what} cannot be used: ${why}`, { cause: error });
  }
}
