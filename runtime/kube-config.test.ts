// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { errorMessage } from './errors.ts';
import { kubeConfigText } from './fake-api-server.ts';
import { kubeConfigFromString, loadKubeConfig } from './kube-config.ts';

const CANARY = 'SECRET-CANARY';
const server = 'https://127.0.0.1:6443';
const base64 = (text: string) => Buffer.from(text).toString('base64');

let folder: string;
beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'kube-config-'))));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function file(name: string, text: string): string {
  const place = path.join(folder, name);
  writeFileSync(place, text);
  return place;
}

describe('kubeConfigFromString', () => {
  it('accepts embedded credentials and tells the server', () => {
    expect(kubeConfigFromString(kubeConfigText({ server })).server).toBe(server);
  });

  it.each(['http://proxy:1', 'https://proxy:1', 'socks5://proxy:1'])('accepts the proxy %s', (proxy) => {
    kubeConfigFromString(kubeConfigText({ server, cluster: { 'proxy-url': proxy } }));
  });

  it('a tag of unknown meaning is none, and what it stands before is not quoted', () => {
    const text = kubeConfigText({ server }).replace('"a-token"', `!${CANARY} a-token`);
    expect(kubeConfigFromString(text).load().getCurrentUser()?.token).toBe('a-token');
  });

  it.each([
    ['nothing', '', /not a YAML object/],
    ['text', CANARY, /not a YAML object/],
    ['broken YAML', `users:\n- name: u\n   token: "${CANARY}`, /not valid YAML \(line \d+\)/],
    [
      'an alias without an anchor',
      `users: [{name: u, user: {token: *${CANARY}}}]`,
      /aliases cannot be resolved/,
    ],
    ['an anchor that holds itself', `users: &${CANARY} [*${CANARY}]`, /aliases cannot be resolved/],
    ['no context', `{users: [{name: u, user: {token: ${CANARY}}}]}`, /no current-context/],
    ['an unknown context', '{current-context: x}', /current-context is not among/],
    [
      'no cluster',
      '{contexts: [{name: x, context: {cluster: c, user: u}}], current-context: x}',
      /cluster .* not among/,
    ],
    ['no server', '{clusters: [{name: c, cluster: {}}]}', /server is missing/],
    ['a server that is no URL', kubeConfigText({ server: 'nowhere' }), /not a URL/],
    ['a server of another kind', kubeConfigText({ server: 'ftp://127.0.0.1' }), /not a URL of https/],
    ...['ftp://proxy:1', `${CANARY}:1`, 'socks4://proxy:1', 'proxy'].map(
      (proxy): [string, string, RegExp] => [
        `the proxy ${proxy}`,
        kubeConfigText({ server, cluster: { 'proxy-url': proxy } }),
        /proxy-url is not a URL of http, https or socks5/,
      ],
    ),
    [
      'plain http',
      kubeConfigText({ server: 'http://127.0.0.1:1', cluster: { 'insecure-skip-tls-verify': false } }),
      /plain http/,
    ],
    [
      'a CA that is no PEM',
      kubeConfigText({ server, cluster: { 'certificate-authority-data': base64(CANARY) } }),
      /certificate-authority-data is not base64 of PEM/,
    ],
    [
      'a damaged key',
      kubeConfigText({
        server,
        user: {
          'client-key-data': base64(`-----BEGIN PRIVATE KEY-----\n${CANARY}\n-----END PRIVATE KEY-----\n`),
        },
      }),
      /client-key-data cannot be used/,
    ],
    ['exec', kubeConfigText({ server, user: { exec: { command: CANARY } } }), /exec.*embed the credentials/],
    [
      'auth-provider',
      kubeConfigText({ server, user: { 'auth-provider': { name: 'oidc' } } }),
      /embed the credentials/,
    ],
    ['a token file', kubeConfigText({ server, user: { tokenFile: '/etc/passwd' } }), /embed the credentials/],
    [
      'the token file of other spelling',
      kubeConfigText({ server, user: { 'token-file': '/etc/passwd' } }),
      /use tokenFile/,
    ],
    ['a key file', kubeConfigText({ server, user: { 'client-key': '/etc/passwd' } }), /names files/],
    [
      'a CA file',
      kubeConfigText({ server, cluster: { 'certificate-authority': '/etc/passwd' } }),
      /names files/,
    ],
  ])('refuses %s, says why and quotes nothing', (_name, text, want) => {
    let message = '';
    try {
      kubeConfigFromString(text);
    } catch (error) {
      message = errorMessage(error);
    }
    expect(message).toMatch(want);
    expect(message).not.toContain(CANARY);
  });
});

describe('loadKubeConfig', () => {
  it('takes the flag before KUBECONFIG before the home folder', () => {
    const flag = file('flag', kubeConfigText({ server: 'https://flag' }));
    const KUBECONFIG = file('env', kubeConfigText({ server: 'https://env' }));
    expect(loadKubeConfig({ path: flag, env: { KUBECONFIG } }).server).toBe('https://flag');
    expect(loadKubeConfig({ env: { KUBECONFIG } }).server).toBe('https://env');
  });

  it('merges the files of KUBECONFIG: the first current context wins', () => {
    const first = file('first', kubeConfigText({ server: 'https://first' }));
    const second = file(
      'second',
      kubeConfigText({ server: 'https://second' }).replace(/"name":"(.)"/g, '"name":"$1$1"'),
    );
    expect(loadKubeConfig({ env: { KUBECONFIG: `${first}${path.delimiter}${second}` } }).server).toBe(
      'https://first',
    );
  });

  it('reads the home folder', () => {
    expect(() => loadKubeConfig({ env: { HOME: folder } })).toThrow(
      /pass --kubeconfig FILE, set KUBECONFIG, write .*config, or run in a Pod/,
    );
  });

  it('names the file that cannot be used', () => {
    const missing = path.join(folder, 'missing');
    let message = '';
    try {
      loadKubeConfig({ path: missing });
    } catch (error) {
      message = errorMessage(error);
    }
    expect(message).toMatch(/Cannot use the kubeconfig .*missing: .*ENOENT/);
  });

  it('finds token files beside the kubeconfig', () => {
    file('token', 'one');
    const source = loadKubeConfig({
      path: file('with-token', kubeConfigText({ server, user: { tokenFile: 'token' } })),
    });
    expect(source.load().getCurrentUser()?.authProvider).toMatchObject({
      config: { tokenFile: path.join(folder, 'token') },
    });
  });
});
