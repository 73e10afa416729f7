// SPDX-License-Identifier: Apache-2.0
// Registries of container images at the hosts' router: TLS with a CA that nobody knows, and a password. All of them have the same images.
import { randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { ROUTER } from '../../hack/hosts/network.ts';
import { runProgram, type Server, startServer, waitUntil } from '../../hack/stack/process.ts';

export interface Registries {
  /** `https://10.88.55.1:5001` and its like. */
  readonly endpoints: readonly string[];
  /** PEM of the CA that signed for them. */
  readonly caBundle: string;
  readonly caFile: string;
  readonly login: { readonly username: string; readonly password: string };
  /** As a power cut does. */
  kill(index: number): Promise<void>;
  /** Starts it again; does nothing when it runs. */
  start(index: number): Promise<void>;
  /** What each registry wrote about who asked for what. */
  logs(): readonly string[];
  stop(): Promise<void>;
}

export interface RegistriesOptions {
  /** Program of the registry. */
  readonly binary: string;
  /** Folder of a Debian root: its perl makes the hash of the password. */
  readonly debian: string;
  /** Folder for everything that they keep. */
  readonly dir: string;
  readonly ports: readonly number[];
}

/** All answer when the promise settles. */
export async function startRegistries(options: RegistriesOptions): Promise<Registries> {
  const { dir, ports, binary } = options;
  mkdirSync(dir, { recursive: true });
  const login = { username: 'site', password: randomBytes(12).toString('hex') };
  const certificates = await makeCertificates(dir);
  writeFileSync(join(dir, 'htpasswd'), `${login.username}:${await bcrypt(options.debian, login.password)}\n`);
  const endpoints = ports.map((port) => `https://${ROUTER}:${port}`);
  const servers: (Server | undefined)[] = [];
  const logFile = (port: number) => join(dir, `registry-${port}.log`);
  const start = async (index: number) => {
    if (servers[index]?.running() === true) return;
    const port = ports[index]!;
    const config = join(dir, `registry-${port}.yaml`);
    writeFileSync(config, stringify(configOf(dir, port)));
    const server = startServer({
      ...{ name: `registry ${port}`, binary, args: ['serve', config], logFile: logFile(port) },
    });
    servers[index] = server;
    const ask = ['--silent', '--fail', '--cacert', certificates.caFile, '--user'];
    const url = [`${login.username}:${login.password}`, `${endpoints[index]}/v2/`];
    await waitUntil(
      async () => {
        await runProgram('curl', [...ask, ...url]);
        return true;
      },
      { what: `registry ${port}`, timeoutMs: 15_000, pollMs: 100, server },
    );
  };
  await Promise.all(ports.map((_, index) => start(index)));
  return {
    ...{ endpoints, ...certificates, login, start },
    kill: async (index) => servers[index]?.kill(),
    logs: () => ports.map((port) => (existsSync(logFile(port)) ? readFileSync(logFile(port), 'utf8') : '')),
    async stop() {
      for (const server of servers) await server?.stop();
    },
  };
}

/** One store for all: what is pushed to one is in the others. */
function configOf(dir: string, port: number): object {
  return {
    version: '0.1',
    log: { level: 'warn', accesslog: { disabled: false } },
    storage: { filesystem: { rootdirectory: join(dir, 'store') } },
    http: {
      addr: `${ROUTER}:${port}`,
      tls: { certificate: join(dir, 'server.crt'), key: join(dir, 'server.key') },
    },
    auth: { htpasswd: { realm: 'site', path: join(dir, 'htpasswd') } },
  };
}

async function makeCertificates(dir: string): Promise<{ caFile: string; caBundle: string }> {
  const file = (name: string) => join(dir, name);
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-days', '2'];
  const request = (name: string, ...more: string[]) =>
    runProgram('openssl', [
      ...['req', '-x509', ...key, '-keyout', file(`${name}.key`), '-out', file(`${name}.crt`), ...more],
    ]);
  await request('ca', '-subj', '/CN=the site');
  await request(
    ...(['server', '-subj', `/CN=${ROUTER}`, '-addext', `subjectAltName=IP:${ROUTER}`] as const),
    ...['-addext', 'basicConstraints=critical,CA:FALSE', '-CA', file('ca.crt'), '-CAkey', file('ca.key')],
  );
  return { caFile: file('ca.crt'), caBundle: readFileSync(file('ca.crt'), 'utf8') };
}

/** The registry takes no other kind of hash. */
async function bcrypt(debian: string, password: string): Promise<string> {
  const salt = `$2b$05$${randomBytes(32).toString('hex').slice(0, 21)}e`;
  const script = 'print crypt($ARGV[0], $ARGV[1])';
  const hash = await runProgram('chroot', [debian, 'perl', '-e', script, password, salt]);
  if (!hash.startsWith('$2b$')) throw new Error('this perl makes no bcrypt hashes');
  return hash;
}
