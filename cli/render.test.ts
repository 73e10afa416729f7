// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { InputError } from '../kubeadm/input-error.ts';
import { UsageError } from './manifests.ts';
import { renderCommand, type Rendering } from './render.ts';

const CONFIG = `
apiVersion: bootstrap.cluster.x-k8s.io/v1beta2
kind: KubeadmConfig
metadata: {name: worker, namespace: site, labels: {cluster.x-k8s.io/cluster-name: c1}}
spec:
  joinConfiguration: {discovery: {bootstrapToken: {token: canary.token01234567890}}}
  files:
  - {path: /etc/site, contentFrom: {secret: {name: site, key: token}}}
  users: [{name: ops, passwdFrom: {secret: {name: site, key: passwd}}}, {name: dev, passwd: canary-hash}]
`;
const CLUSTER = `
apiVersion: cluster.x-k8s.io/v1beta2
kind: Cluster
metadata: {name: c1, namespace: site}
spec:
  controlPlaneEndpoint: {host: 10.0.0.10, port: 6443}
  clusterNetwork: {pods: {cidrBlocks: [10.244.0.0/16]}}
---
apiVersion: v1
kind: Secret
metadata: {name: site, namespace: site}
stringData: {token: canary-content, passwd: canary-passwd}
`;
const MACHINE = `
apiVersion: cluster.x-k8s.io/v1beta2
kind: Machine
metadata: {name: m1, namespace: site}
spec:
  clusterName: c1
  version: v1.30.2
  bootstrap: {configRef: {kind: KubeadmConfig, name: worker}}
`;

let dir: string;
beforeAll(() => void (dir = mkdtempSync(join(tmpdir(), 'render-'))));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

function file(text: string, name = 'input.yaml'): string {
  const path = join(dir, name);
  writeFileSync(path, text);
  return path;
}

/** The command with these manifests and flags. */
function render(manifests: string, ...flags: string[]): Rendering {
  return renderCommand(['-f', file(manifests), ...flags]);
}

/** What the table says of a value: `text <- from`. */
function source({ notes }: Rendering, value: string): string {
  const line = notes.find((note) => note.startsWith(`${value}  `)) ?? '';
  return line.slice(value.length).trim().split(/ {2,}/).join(' <- ');
}

describe('render', () => {
  it('prints what the machine would get, and says where the values came from', () => {
    const rendering = render(`${CONFIG}---${CLUSTER}---${MACHINE}`);
    expect(rendering.data).toMatch(/^## template: jinja\n#cloud-config\n/);
    expect(rendering.data).toContain('apiVersion: kubeadm.k8s.io/v1beta3');
    expect(rendering.data).toContain('apiServerEndpoint: 10.0.0.10:6443');
    expect(source(rendering, 'Kubernetes version')).toBe('v1.30.2 <- Machine m1 spec.version');
    expect(source(rendering, 'endpoint')).toBe('10.0.0.10:6443 <- Cluster c1 spec.controlPlaneEndpoint');
    expect(source(rendering, 'pod subnets')).toBe('10.244.0.0/16 <- Cluster c1 spec.clusterNetwork');
    expect(source(rendering, 'spec.files[0].contentFrom.secret')).toBe('masked <- Secret site key token');
  });

  it('masks what is secret, and shows it when asked for', () => {
    const manifests = `${CONFIG}---${CLUSTER}`;
    const hidden = render(manifests);
    expect([hidden.data, ...hidden.notes].join('\n')).not.toContain('canary');
    const shown = render(manifests, '--show-secrets').data;
    for (const canary of ['canary.token0123456789', 'canary-content', 'canary-passwd', 'canary-hash'])
      expect(shown).toContain(canary);
  });

  it.each([
    ['base64', 'ignition', '"/etc/site"'],
    ['gzip+base64', 'cloud-config', 'encoding: "gzip+base64"'],
  ])('masks a file that is %s in that encoding, for %s', (encoding, format, shown) => {
    const file = `path: /etc/site, encoding: ${encoding},`;
    const manifests = CONFIG.replace('path: /etc/site,', file).replace('spec:', `spec:\n  format: ${format}`);
    expect(render(manifests).data).toContain(shown);
  });

  it('does without anything but the configuration', () => {
    const rendering = render(CONFIG);
    expect(source(rendering, 'cluster name')).toContain('a placeholder: give the Cluster with --cluster');
    expect(source(rendering, 'CA hashes')).toContain('Secret example-ca was not given');
    expect(rendering.data).not.toContain('unsafeSkipCAVerification');
  });

  it('renders an init with placeholders for its certificates', () => {
    const rendering = render(CONFIG, '--purpose=init', '--kubernetes-version=1.37.0');
    expect(rendering.data).toContain('(tls.key of Secret example-ca)');
    expect(source(rendering, 'certificate ca')).toBe(
      'a placeholder <- Secret example-ca, which was not given',
    );
    expect(source(rendering, 'purpose')).toBe('init <- --purpose');
  });

  it('takes templates and control planes, too', () => {
    const spec =
      '{kubeadmConfigSpec: {clusterConfiguration: {imageRepository: example.org}}, version: v1.35.0}';
    const controlPlane = `
apiVersion: controlplane.cluster.x-k8s.io/v1beta2
kind: KubeadmControlPlane
metadata: {name: cp}
spec: ${spec}
`;
    expect(render(controlPlane).data).toContain('imageRepository: example.org');
    const template = CONFIG.replace('kind: KubeadmConfig', 'kind: KubeadmConfigTemplate').replace(
      /spec:\n([^]*)$/,
      (_all, body: string) => `spec:\n  template:\n    spec:\n${body.replace(/^/gm, '    ')}`,
    );
    expect(render(template).notes[0]).toBe('KubeadmConfigTemplate site/worker');
  });
});

describe('what the controller would refuse', () => {
  it('is said, all of it, and no value', () => {
    const wrong = CONFIG.replace('files:', 'mounts: [[a, b, c, d, e, f, g]]\n  files:')
      .replace('canary.token01234567890', 'canary-token')
      .replace('{path: /etc/site,', '{path: /etc/site, permissions: rw,');
    const run = () => render(`${wrong}---${CLUSTER}`);
    expect(run).toThrow(InputError);
    expect(run).toThrow(
      /^KubeadmConfig site\/worker: no machine could come up with this\n {2}spec\.joinConfiguration\.discovery\.bootstrapToken\.token must .*\n {2}spec\.files\[0\]\.permissions must .*\n {2}spec\.mounts\[0\] must [^\n]*$/,
    );
    expect(run).not.toThrow(/canary/);
  });

  it.each([
    ['was not given: nothing is said of it', CONFIG, undefined],
    ['is given: it is looked at, though masked', `${CONFIG}---${CLUSTER}`, /files\[0\]\.encoding is base64/],
  ])('base64 of a Secret that %s', (_name, manifests, message) => {
    const run = () => render(manifests.replace('{path: /etc/site,', '{path: /etc/site, encoding: base64,'));
    if (message === undefined) expect(run).not.toThrow();
    else expect(run).toThrow(message);
  });

  it('the size is noted, in plain and compressed', () => {
    const large = CONFIG.replace('files:', `files:\n  - {path: /a, content: ${'x'.repeat(9000)}}`);
    expect(source(render(large), 'size')).toMatch(
      /^\d{5} bytes, \d{3,4} compressed <- published in plain; a Secret allows 1048564$/,
    );
    const limited = large.replace(
      'name: worker,',
      'name: worker, annotations: {bootstrap.cluster.x-k8s.io/data-limit: "4096"},',
    );
    expect(() => render(limited)).toThrow(/data-limit allows 4096, the largest files are \/a 9000/);
  });
});

describe('bad input', () => {
  it.each([
    ['no file', [], UsageError, /give the file of the KubeadmConfig with -f FILE/],
    ['no such file', ['-f', '/nowhere.yaml'], UsageError, /\/nowhere.yaml cannot be read/],
  ])('%s', (_name, args, type, message) => {
    expect(() => renderCommand(args)).toThrow(type);
    expect(() => renderCommand(args)).toThrow(message);
  });

  it.each([
    ['not YAML', 'a: [', UsageError, /document 1: not valid YAML/],
    ['not an object', '- a', UsageError, /not a Kubernetes object/],
    ['nothing to render', CLUSTER, UsageError, /the files hold no KubeadmConfig/],
    [
      'two to render',
      `${CONFIG}---${CONFIG.replace('name: worker', 'name: other')}`,
      UsageError,
      /give one with --name/,
    ],
    ['another version', CONFIG.replace('v1beta2', 'v1beta1'), UsageError, /give v1beta2/],
    [
      'a field that is none',
      CONFIG.replace('  files:', '  file:'),
      UsageError,
      /spec\.file: there is no such field/,
    ],
    [
      'a wrong type',
      CONFIG.replace('path: /etc/site', 'path: 7'),
      UsageError,
      /spec\.files\[0\]\.path: must be string/,
    ],
    [
      'a key that the Secret lacks',
      `${CONFIG}---${CLUSTER.replace('token:', 'other:')}`,
      InputError,
      /site.*token|token.*site/,
    ],
  ])('%s', (_name, manifests, type, message) => {
    expect(() => render(manifests)).toThrow(type);
    expect(() => render(manifests)).toThrow(message);
  });

  it('names what --purpose may be', () => {
    expect(() => render(CONFIG, '--purpose=join')).toThrow(
      /use one of init, control-plane-join, worker-join/,
    );
  });
});
