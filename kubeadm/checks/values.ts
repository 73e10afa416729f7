// SPDX-License-Identifier: Apache-2.0
// Rules for single values that kubeadm, or the kubelet behind it, refuses when they are broken.
import { isToken } from '../token.ts';
import { isDNSName, isIPAddress, isPort, isWildcardName, splitHostPort } from './addresses.ts';
import type { Rule } from './problem.ts';

/** `undefined` when the value is right, else the message. */
const unless = (right: boolean, message: string) => (right ? undefined : message);

/** An absolute path of Linux. */
export const absolutePath: Rule = (text) => unless(text.startsWith('/'), 'must be an absolute path');

/** kubeadm takes blanks off and writes it in lower case first. */
export const nodeName: Rule = (text) =>
  unless(
    isDNSName(text.trim().toLowerCase()),
    'must be a DNS name: letters, digits, "-" and ".", at most 253 of them',
  );

/** What names the API server or etcd in a certificate. */
export const certificateName: Rule = (text) =>
  unless(
    isDNSName(text) || isWildcardName(text) || isIPAddress(text),
    'must be an IP address or a DNS name in lower case, whose first label may be "*"',
  );

/** kubeadm writes names of the API server in lower case, and those of etcd not. */
export const apiServerName: Rule = (text) => certificateName(text.toLowerCase());

export const ipAddress: Rule = (text) => unless(isIPAddress(text), 'must be an IP address');

export const dnsDomain: Rule = (text) =>
  unless(isDNSName(text), 'must be a DNS name in lower case, such as cluster.local');

/** `host` or `host:port`. */
export const endpoint: Rule = (text) => {
  const { host, port } = splitHostPort(text) ?? { host: text, port: '' };
  const right = (port === '' || isPort(port)) && (isIPAddress(host) || isDNSName(host));
  return unless(
    right,
    'must be an IP address or a DNS name in lower case, with a port from 1 to 65535 behind ":" ' +
      '(an IPv6 address with a port in brackets)',
  );
};

/** `host:port`, of which kubeadm looks at the form only. */
export const hostPort: Rule = (text) =>
  unless(splitHostPort(text) !== undefined, 'must be host:port, an IPv6 address in brackets');

export const token: Rule = (text) =>
  unless(isToken(text), 'must be a bootstrap token: six, a dot, and sixteen of a-z and 0-9');

export const hash: Rule = (text) =>
  unless(/^sha256:[0-9a-f]{64}$/i.test(text), 'must be sha256: and 64 hexadecimal digits');

/** kubeadm puts unix:// before what does not begin with it. */
export const criSocket: Rule = (text) => {
  const url = text.startsWith('unix') ? text : `unix://${text}`;
  const right = /^unix:/.test(url) && isURL(url);
  return unless(right, 'must be a URL such as unix:///run/containerd/containerd.sock');
};

/** Client certificates are always given, and then etcd must be reached by https. */
export const etcdEndpoint: Rule = (text) =>
  unless(/^https:/i.test(text) && isURL(text), 'must be a URL that begins with https://');

/** A path, or a URL from which the machine fetches it. */
export const kubeConfigPath: Rule = (text) => {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase();
  const isPath = scheme === undefined && !text.startsWith(':');
  return unless(
    isPath || scheme === 'https' || scheme === 'file',
    'must be a path on the machine, or a URL that begins with https://',
  );
};

/** Whether Go reads it as a URL, as far as that goes wrong: signs that no URL has, blanks in the host, a port that is not a number. */
function isURL(text: string): boolean {
  if ([...text].some((sign) => sign < ' ' || sign === '\x7f')) return false;
  const [, authority = ''] = /^[^/?#]*:\/\/([^/?#]*)/.exec(text) ?? [];
  return !authority.includes(' ') && !/:[^:]*[^\d:][^:]*$/.test(authority.replace(/^\[[^\]]*\]/, ''));
}

const DOMAIN_LABEL = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = `(?:${DOMAIN_LABEL}(?:\\.${DOMAIN_LABEL})*|\\[[a-fA-F0-9:]+\\])(?::[0-9]+)?`;
const PATH_PART = '[a-z0-9]+(?:(?:[._]|__|-+)[a-z0-9]+)*';
const REPOSITORY = new RegExp(`^(?:${DOMAIN}|(?:${DOMAIN}/)?${PATH_PART}(?:/${PATH_PART})*)$`);

/** Registry, port and path, to which the name of an image is added. */
export const imageRepository: Rule = (text) =>
  unless(
    REPOSITORY.test(text),
    'must be a registry and a path in lower case, such as registry.example.org:5000/kubernetes, without scheme and tag',
  );

/** Names of phases have one form; which there are depends on the version of kubeadm. */
export const phase: Rule = (text) =>
  unless(/^[a-z0-9-]+(?:\/[a-z0-9-]+)*$/.test(text), 'must be the name of a phase, such as addon/kube-proxy');

export const tokenUsage: Rule = (text) =>
  unless(text === 'signing' || text === 'authentication', 'must be signing or authentication');

export const tokenGroup: Rule = (text) =>
  unless(
    /^system:bootstrappers:[a-z0-9:-]{0,255}[a-z0-9]$/.test(text),
    'must begin with system:bootstrappers: and go on in a-z, 0-9, ":" and "-"',
  );

const QUALIFIED = /^[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?$/;

/** Key of a taint. */
export const labelKey: Rule = (text) => {
  const [name = '', prefix, ...more] = text.split('/').reverse();
  const right = QUALIFIED.test(name) && more.length === 0 && (prefix === undefined || isDNSName(prefix));
  return unless(right, 'must be a label key, such as example.org/dedicated');
};

/** Value of a taint. */
export const labelValue: Rule = (text) =>
  unless(QUALIFIED.test(text), 'must be a label value: at most 63 letters, digits, "-", "_" and "."');

export const taintEffect: Rule = (text) =>
  unless(
    ['NoSchedule', 'PreferNoSchedule', 'NoExecute'].includes(text),
    'must be NoSchedule, PreferNoSchedule or NoExecute',
  );
