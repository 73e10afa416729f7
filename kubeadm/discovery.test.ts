// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import type { FileDiscovery } from '../api/bootstrap/join-configuration.ts';
import { caCertHashes, controlPlaneEndpointText, discoveryKubeConfig } from './discovery.ts';
import { InputError } from './input-error.ts';

/** A certificate of version 1, which has no version field, on P-256. */
const OLD = [
  '-----BEGIN CERTIFICATE-----',
  'MIIBGDCBvwIUL7EwL/9odNdv1JreTgCKs08WlVwwCgYIKoZIzj0EAwIwDjEMMAoG',
  'A1UEAwwDb2xkMCAXDTI2MTEyMTE0NTMzN1oYDzIxMjYxMDI4MTQ1MzM3WjAOMQww',
  'CgYDVQQDDANvbGQwWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASgwBs4BBMH5c1T',
  '+FD41XpwztdEA13nHDeTAWIy7LlxlRJAiKJ8wCq+eC8nULfgYxvJeFxIIN5Un6bX',
  'nAYNTzXEMAoGCCqGSM49BAMCA0gAMEUCIAIeseK1mzHZGJrXACQNbAQq6DKLH7Q+',
  'b/LkydheKaORAiEA0NhyaGdHliGBEwfcznOcGS7I2U5gTFtfkLDA3atq7PQ=',
  '-----END CERTIFICATE-----',
  '',
].join('\n');
/** Version 3, on P-384. */
const NEW = [
  '-----BEGIN CERTIFICATE-----',
  'MIIB1DCCAVqgAwIBAgIUI/NM8H/qk7va/KmKiYVe8s84Xl0wCgYIKoZIzj0EAwIw',
  'IDEQMA4GA1UECgwHZXhhbXBsZTEMMAoGA1UEAwwDbmV3MCAXDTI2MTEyMTE0NTMz',
  'N1oYDzIxMjYxMDI4MTQ1MzM3WjAgMRAwDgYDVQQKDAdleGFtcGxlMQwwCgYDVQQD',
  'DANuZXcwdjAQBgcqhkjOPQIBBgUrgQQAIgNiAAQYtGe/6XBYdfpAbAokKNrCReWW',
  'k7schrP1rbUX9fW5eAcjrgIS9qo4MXk5lKK7U/wKJ7FIozkJOwP8/3vcXo5JDncX',
  'MVn43V2TEov+gW6ijEg724GmLMYTEdf5evFgGgqjUzBRMB0GA1UdDgQWBBQBbbeB',
  'He4PtnWFXgNDX1Od2mglpDAfBgNVHSMEGDAWgBQBbbeBHe4PtnWFXgNDX1Od2mgl',
  'pDAPBgNVHRMBAf8EBTADAQH/MAoGCCqGSM49BAMCA2gAMGUCMQCb5UgEJ2eyQ9+q',
  'JSIQcJxX5oAjgFqmGmWDQv3SXf0PfVpPQJek/NuwE/vCZfACv0sCMCQjvYUFrYWF',
  '6upMwGyZXoIon16vDI3E7bAC7OF6Yzsoosb+X/0TXu+vdxqeKhGPqQ==',
  '-----END CERTIFICATE-----',
  '',
].join('\n');
/** Told by openssl and by Go's crypto/x509. */
const OLD_HASH = 'sha256:de41205a376442e001b77c55875b3838b54551eae0b4985cb6910710e33cf195';
const NEW_HASH = 'sha256:7aa7d5253daa463c9708a9d75816d3ad451bb15df0c3b0906cb9eb320d4f89b1';

describe('caCertHashes (KB-19)', () => {
  it.each([
    ['version 1', OLD, [OLD_HASH]],
    ['version 3', NEW, [NEW_HASH]],
    ['a bundle, in its order', NEW + OLD, [NEW_HASH, OLD_HASH]],
    ['text between the blocks', `subject=new\n${NEW}\nolder:\n${OLD}`, [NEW_HASH, OLD_HASH]],
    ['carriage returns', NEW.replaceAll('\n', '\r\n'), [NEW_HASH]],
    ['the same one twice', OLD + OLD, [OLD_HASH, OLD_HASH]],
  ])('%s', (_, pem, hashes) => {
    expect(caCertHashes(pem)).toEqual(hashes);
  });

  it.each([
    ['', 'is not PEM text'],
    ['ca-data', 'is not PEM text'],
    [NEW + OLD.slice(0, 300), 'begins but does not end'],
  ])('refuses what is no bundle', (pem, message) => {
    expect(() => caCertHashes(pem)).toThrow(InputError);
    expect(() => caCertHashes(pem)).toThrow(message);
  });
});

describe('controlPlaneEndpointText', () => {
  it.each([
    ['api.example.org', 6443, 'api.example.org:6443'],
    ['192.0.2.7', 443, '192.0.2.7:443'],
    ['2001:db8::1', 6443, '[2001:db8::1]:6443'],
  ])('%s', (host, port, text) => {
    expect(controlPlaneEndpointText({ host, port })).toBe(text);
  });
});

describe('discoveryKubeConfig (KB-18)', () => {
  const cluster = { endpoint: 'example.com:6443', clusterCA: 'ca-data' };
  const path = '/bootstrap-kubeconfig.yaml';

  it('is what the stock provider expects in its own test', () => {
    const exec = { command: '/usr/bin/bootstrap', env: [{ name: 'ENV_TEST', value: 'value' }] };
    const file = discoveryKubeConfig({ kubeConfigPath: path, kubeConfig: { user: { exec } } }, cluster);
    expect(file).toEqual({ path, owner: 'root:root', permissions: '0640', content: STOCK });
  });

  it('carries everything that can be set, with the words of a kubeconfig', () => {
    const file: FileDiscovery = {
      kubeConfigPath: path,
      kubeConfig: {
        cluster: {
          server: 'https://[2001:db8::1]:443',
          tlsServerName: 'api.example.org',
          insecureSkipTLSVerify: true,
          certificateAuthorityData: 'bWluZQ==',
          proxyURL: 'socks5://192.0.2.9',
        },
        user: {
          exec: {
            command: 'login',
            args: ['yes', '0640', '1e3'],
            env: [{ name: 'NO', value: 'off' }],
            apiVersion: 'client.authentication.k8s.io/v1beta1',
            provideClusterInfo: true,
          },
        },
      },
    };
    // As readers of YAML 1.1 take it.
    expect(parse(discoveryKubeConfig(file, cluster)?.content ?? '', { version: '1.1' })).toEqual({
      clusters: [
        {
          name: 'default',
          cluster: {
            server: 'https://[2001:db8::1]:443',
            'tls-server-name': 'api.example.org',
            'insecure-skip-tls-verify': true,
            'certificate-authority-data': 'bWluZQ==',
            'proxy-url': 'socks5://192.0.2.9',
          },
        },
      ],
      contexts: [{ name: 'default', context: { cluster: 'default', user: 'default' } }],
      'current-context': 'default',
      users: [
        {
          name: 'default',
          user: {
            exec: {
              command: 'login',
              args: ['yes', '0640', '1e3'],
              env: [{ name: 'NO', value: 'off' }],
              apiVersion: 'client.authentication.k8s.io/v1beta1',
              provideClusterInfo: true,
              interactiveMode: 'Never',
            },
          },
        },
      ],
    });
  });

  it.each([
    [{ name: 'oidc', config: { issuer: 'https://example.org' } }, { issuer: 'https://example.org' }],
    [{ name: 'oidc' }, null],
  ])('takes an authentication plugin: %j', (authProvider, config) => {
    const file = { kubeConfigPath: path, kubeConfig: { user: { authProvider } } };
    const { users } = parse(discoveryKubeConfig(file, cluster)?.content ?? '') as { users: unknown };
    expect(users).toEqual([{ name: 'default', user: { 'auth-provider': { name: 'oidc', config } } }]);
  });

  it('writes no file that was not asked for', () => {
    expect(discoveryKubeConfig({ kubeConfigPath: path }, cluster)).toBeUndefined();
  });

  it.each([
    [{ ...cluster, endpoint: '' }, 'spec.joinConfiguration.discovery.file.kubeConfig.cluster.server: set it'],
    [{ ...cluster, clusterCA: '' }, 'kubeConfig.cluster.certificateAuthorityData: set it'],
  ])('says what is missing: %j', (options, message) => {
    const file = { kubeConfigPath: path, kubeConfig: { user: { exec: { command: 'login' } } } };
    expect(() => discoveryKubeConfig(file, options)).toThrow(InputError);
    expect(() => discoveryKubeConfig(file, options)).toThrow(message);
  });
});

/** Content of the file in the stock provider's test of its kubeconfig for discovery. */
const STOCK = `clusters:
- cluster:
    certificate-authority-data: Y2EtZGF0YQ==
    server: https://example.com:6443
  name: default
contexts:
- context:
    cluster: default
    user: default
  name: default
current-context: default
users:
- name: default
  user:
    exec:
      apiVersion: client.authentication.k8s.io/v1
      args: null
      command: /usr/bin/bootstrap
      env:
      - name: ENV_TEST
        value: value
      interactiveMode: Never
      provideClusterInfo: false
`;
