// SPDX-License-Identifier: Apache-2.0
import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { ApiError, TransientError } from './errors.ts';
import { createLogger } from './logger.ts';

// Canaries: none of these may ever come out. Made up here, so that no scanner of this repository takes them for real.
const { privateKey: PEM } = generateKeyPairSync('ec', {
  namedCurve: 'P-256',
  privateKeyEncoding: { type: 'sec1', format: 'pem' },
  publicKeyEncoding: { type: 'spki', format: 'pem' },
});
const PEM_BODY = PEM.split('\n')[1] ?? '';
const PEM_BASE64 = Buffer.from(PEM).toString('base64');
const BOOTSTRAP_TOKEN = 'canary.0123456789abcdef';
const BEARER = 'CanaryBearer0123456789';
const JWT = ['eyJhbGciOiJSUzI1NiJ9', 'eyJzdWIiOiJjYW5hcnkifQ', 'CanarySignature'].join('.');
const PLAIN = 'canary-plain-value';
const CANARIES = [PEM_BODY, PEM_BASE64.slice(40, 90), '0123456789abcdef', BEARER, 'CanarySignature', PLAIN];

function record(level: 'debug' | 'info' = 'debug') {
  const lines: string[] = [];
  return { lines, log: createLogger({ level, destination: { write: (line) => lines.push(line) } }) };
}

function expectNoCanary(output: string): void {
  for (const canary of CANARIES) expect(output).not.toContain(canary);
}

describe('secrets under their keys', () => {
  it.each<[string, object]>([
    ['token', { token: PLAIN }],
    ['password', { password: PLAIN }],
    ['nested', { a: { b: { c: { d: { accessToken: PLAIN } } } } }],
    ['in a list', { users: [{ name: 'x', password: PLAIN }] }],
    ['data of a Secret', { secret: { kind: 'Secret', data: { value: PLAIN } } }],
    ['data of an object under a harmless key', { object: { metadata: {}, data: { value: PLAIN } } }],
    ['stringData', { object: { stringData: { value: PLAIN } } }],
    ['kubeconfig', { cluster: { kubeconfig: PLAIN } }],
    ['headers', { request: { headers: { Authorization: PLAIN, cookie: PLAIN, 'set-cookie': [PLAIN] } } }],
    ['key data', { user: { 'client-key-data': PLAIN, 'client-certificate-data': PLAIN } }],
    ['kubeadm keys', { init: { certificateKey: PLAIN }, join: { tlsBootstrapToken: PLAIN } }],
    ['cloud credentials', { aws: { secretAccessKey: PLAIN, session_token: PLAIN, 'secret-key': PLAIN } }],
    ['user data', { userData: PLAIN, bootstrapData: { format: 'cloud-config', value: PLAIN } }],
    ['a map', { map: new Map([['token', PLAIN]]) }],
    ['bytes', { raw: Buffer.from(PLAIN), list: [new Uint8Array(Buffer.from(PLAIN))] }],
    ['upper case', { TOKEN: PLAIN, Private_Key: PLAIN }],
  ])('%s', (_name, fields) => {
    const { lines, log } = record();
    log.info(fields, 'fields');
    log.child(fields).warn('bindings');
    log.child({ a: 1 }).child(fields).error({ again: fields }, 'bindings of a child');
    expect(lines).toHaveLength(3);
    expectNoCanary(lines.join(''));
    expect(lines.join('')).not.toContain(Buffer.from(PLAIN).join(','));
  });
});

describe('secrets in text', () => {
  const texts: [string, string][] = [
    ['PEM', `bad key ${PEM} given`],
    ['PEM without its end', `bad key ${PEM.slice(0, PEM.length - 20)}`],
    ['PEM with escaped line breaks', `bad key ${JSON.stringify(PEM)}`],
    ['PEM with line breaks escaped twice', `bad key ${JSON.stringify(JSON.stringify({ key: PEM }))}`],
    ['PEM in base64', `client-key-data: ${PEM_BASE64}`],
    ['bearer token', `header Authorization: Bearer ${BEARER} was refused`],
    ['bearer token in JSON', JSON.stringify({ headers: { authorization: `bearer ${BEARER}` } })],
    ['basic authentication', `authorization: Basic ${PLAIN}`],
    ['authorization without a scheme', `"authorization":"${PLAIN}"`],
    ['JWT', `token ${JWT} has expired`],
    ['bootstrap token', `token "${BOOTSTRAP_TOKEN}" is unknown`],
    ['bootstrap token after a line break', `discovery:\n${BOOTSTRAP_TOKEN}\n`],
    ['bootstrap token at the end of a sentence', `cannot use ${BOOTSTRAP_TOKEN}.`],
    ['URL with a password', `GET https://admin:${PLAIN}@10.0.0.1/redfish failed`],
    ['assignment', `ran ipmitool with password=${PLAIN} and token=${PLAIN}`],
    ['JSON in a message', `cannot parse {"password": "${PLAIN}", "name": "x"}`],
    ['YAML in a message', `cannot parse\nuser:\n  name: x\n  token: ${PLAIN}\n`],
  ];

  it.each(texts)('%s', (_name, text) => {
    const { lines, log } = record();
    log.info(text);
    log.info({ harmless: text, list: [text], deep: { er: text } }, text);
    log.child({ note: text }).info('bindings');
    log.error({ err: new Error(text) }, 'error');
    log.error({ err: new TransientError('outer', { cause: new Error(text) }) }, 'cause');
    log.error({ errors: [new ApiError(422, 'Invalid', text)] }, 'list');
    log.error(
      { err: Object.assign(new Error('library'), { config: { headers: { x: text } }, code: text }) },
      text,
    );
    expect(lines).toHaveLength(7);
    expectNoCanary(lines.join(''));
    for (const line of lines) expect(() => JSON.parse(line) as unknown).not.toThrow();
  });
});

describe('what is no secret', () => {
  it.each([
    'Secret default/demo-kubeconfig: not found',
    'the token has expired',
    'waiting for bearer of bad news',
    'secret is missing key value',
    'host worker.example.internal:6443 refused',
    'sha256:fedcba9876543210fedcba9876543210fedcba9876543210fedcba9876543210',
    'status.observedGeneration is behind metadata.generation',
    'https://10.0.0.1:6443/api/v1/nodes?limit=500',
  ])('stays readable: %s', (text) => {
    const { lines, log } = record();
    log.info({ Secret: 'default/demo-kubeconfig', clientToken: 'attempt-1', secretName: 'demo' }, text);
    expect(JSON.parse(lines[0] ?? '')).toMatchObject({
      msg: text,
      Secret: 'default/demo-kubeconfig',
      clientToken: 'attempt-1',
      secretName: 'demo',
    });
  });
});

describe('lines', () => {
  it('are JSON with level, time, message and the fields of all parents', () => {
    const { lines, log } = record();
    log
      .child({ controller: 'tsmachine', absent: undefined })
      .child({ Machine: 'ns/a' })
      .info({ ms: 5 }, 'Waiting');
    expect(JSON.parse(lines[0] ?? '')).toEqual({
      level: 'info',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT[\d:.]+Z$/) as string,
      controller: 'tsmachine',
      Machine: 'ns/a',
      ms: 5,
      msg: 'Waiting',
    });
  });

  it('show type, message with causes, code, reason and stack of an error', () => {
    const { lines, log } = record();
    log.error({ err: new ApiError(403, 'Forbidden', 'leases is forbidden') }, 'failed');
    log.error({ err: new Error('outer', { cause: new Error('inner') }) }, 'failed');
    const [api, outer] = lines.map((line) => (JSON.parse(line) as { err: Record<string, unknown> }).err);
    expect(api).toMatchObject({
      type: 'ApiError',
      message: 'leases is forbidden',
      code: 403,
      reason: 'Forbidden',
    });
    expect(outer).toMatchObject({
      message: 'outer: inner',
      stack: expect.stringContaining('logger.test.ts') as string,
    });
  });

  it('below the level cost nothing: fields are not even read', () => {
    const { lines, log } = record('info');
    let read = false;
    const fields = {
      get costly() {
        read = true;
        return 1;
      },
    };
    log.debug(fields, 'no');
    log.child({ a: 1 }).debug(fields, 'no');
    expect([lines, read]).toEqual([[], false]);
  });

  it('survive whatever is thrown at them', () => {
    const { lines, log } = record();
    const circular: Record<string, unknown> = { name: 'x' };
    circular['self'] = circular;
    const deep: Record<string, unknown> = {};
    let at = deep;
    for (let i = 0; i < 1000; i++) at = at['next'] = {} as Record<string, unknown>;
    const throwing = {
      get bad(): string {
        throw new Error('no');
      },
    };
    const odd = {
      circular,
      deep,
      throwing,
      big: 10n,
      date: new Date(NaN),
      nothing: null,
      set: new Set([1]),
      not: NaN,
    };
    log.info({ ...odd, many: Array.from({ length: 5000 }, (_, i) => i), long: 'x'.repeat(1e6) }, 'odd');
    log.info({ fn: () => 1, sym: Symbol('s'), url: new URL(`https://u:${PLAIN}@h/`) }, 'odd');
    expect(lines).toHaveLength(2);
    for (const line of lines) expect(line.length).toBeLessThan(20_000);
    expectNoCanary(lines.join(''));
  });
});
