// SPDX-License-Identifier: Apache-2.0
import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server, STATUS_CODES } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { LIBRARY, STATE } from '../library.ts';

const CONTENT = 'the content of a file\n';
const SHA256 = createHash('sha256').update(CONTENT).digest('hex');
const OTHER = '0'.repeat(64);

let work = '';
let site: Server;
let asked: string[] = [];

beforeAll(async () => {
  // Also a proxy: `GET http://...` and CONNECT are answered with what the user name of the proxy's URL says.
  site = createServer((request, response) => {
    asked.push(`${request.method} ${request.url}`);
    const login = String(request.headers['proxy-authorization'] ?? '').replace('Basic ', '');
    const wanted = Number(Buffer.from(login, 'base64').toString().split(':')[0]);
    if (request.url!.startsWith('http:') && wanted) response.writeHead(wanted).end();
    else if (request.url!.endsWith('/file')) response.end(CONTENT);
    else response.writeHead(404).end();
  });
  site.on('connect', (request, socket) => {
    asked.push(`CONNECT ${request.url}`);
    const login = String(request.headers['proxy-authorization'] ?? '').replace('Basic ', '');
    const wanted = Buffer.from(login, 'base64').toString().split(':')[0];
    socket.end(`HTTP/1.1 ${wanted} ${STATUS_CODES[wanted!]}\r\nContent-Length: 0\r\n\r\n`);
  });
  await new Promise<void>((resolve) => site.listen(0, '127.0.0.1', resolve));
});

afterAll(() => {
  site.close();
});

beforeEach(() => {
  work = mkdtempSync(join(tmpdir(), 'fetch-'));
  asked = [];
});

afterEach(() => {
  rmSync(work, { recursive: true, force: true });
});

const port = (): number => (site.address() as AddressInfo).port;
const url = (path: string): string => `http://127.0.0.1:${port()}${path}`;

/** What gets a file here. apt has its own program for it, which is all that a small Debian has. */
const TOOLS: Readonly<Record<string, { readonly here: string; readonly others: string }>> = {
  curl: { here: '/usr/bin/curl', others: '' },
  wget: { here: '/usr/bin/wget', others: 'curl' },
  apt: { here: '/usr/lib/apt/apt-helper', others: 'curl|wget' },
};

interface Ended {
  readonly code: number;
  readonly said: string;
}

function run(tool: string, command: string): Promise<Ended> {
  const hidden = TOOLS[tool]!.others;
  const hide = hidden
    ? `have() { case "$1" in ${hidden}) return 1 ;; esac; command -v "$1" >/dev/null 2>&1; }\n${hidden.includes('wget') ? 'wget() { return 127; }\n' : ''}`
    : '';
  mkdirSync(`${work}/state`, { recursive: true });
  const script = `${LIBRARY.replaceAll(STATE, `${work}/state`)}preparation=${work}/state\nfetch_retries=0\n${hide}( ${command} )\n`;
  return new Promise((resolve) => {
    execFile('/bin/sh', ['-c', script], { env: {} }, (error, stdout, stderr) => {
      resolve({ code: error ? Number(error.code) : 0, said: (stdout + stderr).trim() });
    });
  });
}

function proxyIs(proxy: string, direct = ''): void {
  mkdirSync(`${work}/state`, { recursive: true });
  writeFileSync(
    `${work}/state/proxy`,
    `http_proxy='${proxy}'\nhttps_proxy='${proxy}'\nno_proxy='${direct}'\n`,
  );
}

describe.each(Object.keys(TOOLS))('with %s', (tool) => {
  const missing = existsSync(TOOLS[tool]!.here) ? undefined : `${TOOLS[tool]!.here} is not here`;
  if (missing) console.warn(`skipped: ${missing}`);
  const test = it.skipIf(missing !== undefined);

  test('a file gets its name when it is the right one, and is not fetched again', async () => {
    const command = `download ${url('/file')} ${SHA256} ${work}/got 0755 ${CONTENT.length}`;
    expect(await run(tool, command)).toMatchObject({ code: 0 });
    expect(readFileSync(`${work}/got`, 'utf8')).toBe(CONTENT);
    const before = asked.length;
    expect(await run(tool, command)).toMatchObject({ code: 0 });
    expect(asked).toHaveLength(before);
    expect(existsSync(`${work}/got.part`)).toBe(false);
  });

  test('a file that is another one is refused with both checksums, and leaves nothing', async () => {
    const { code, said } = await run(tool, `download ${url('/file')} ${OTHER} ${work}/got`);
    expect(code).toBe(73);
    expect(said).toContain(
      `error: ${url('/file')}: its SHA-256 begins with ${SHA256.slice(0, 12)}, expected ${OTHER.slice(0, 12)}`,
    );
    expect(existsSync(`${work}/got`) || existsSync(`${work}/got.part`)).toBe(false);
  });

  test.each([
    { name: 'a file that is not there', path: '/none', says: '404' },
    { name: 'nobody who listens', from: 'http://127.0.0.1:1/file', says: '127.0.0.1' },
    { name: 'a name that nobody knows', from: 'http://nowhere.invalid/file', says: 'nowhere.invalid' },
  ])('$name is unreachable', async ({ path, from, says }) => {
    const { code, said } = await run(tool, `download ${from ?? url(path)} ${SHA256} ${work}/got`);
    expect(code).toBe(72);
    expect(said.split('\n').at(-1)).toMatch(/^error: http.* cannot be fetched: /);
    expect(said.split('\n').at(-1)).toContain(says);
  });

  test('a proxy is asked', async () => {
    proxyIs(url(''));
    expect(await run(tool, `download http://far.invalid/file ${SHA256} ${work}/got`)).toMatchObject({
      code: 0,
    });
    expect(asked).toEqual(['GET http://far.invalid/file']);
  });

  test.each(['127.0.0.0/8', '127.0.0.1', '*'])('a proxy is not asked for what %s names', async (direct) => {
    proxyIs('http://127.0.0.1:1', direct);
    expect(await run(tool, `download ${url('/file')} ${SHA256} ${work}/got`)).toMatchObject({ code: 0 });
  });

  test.each([
    { name: 'does not listen', proxy: () => 'http://user:pass%20word@127.0.0.1:1' },
    { name: 'has no address', proxy: () => 'http://user:pass%20word@proxy.invalid:3128' },
    { name: 'wants another password', proxy: () => `http://407:pass%20word@127.0.0.1:${port()}` },
  ])('a proxy that $name is told, without its password', async ({ proxy }) => {
    proxyIs(proxy());
    for (const scheme of ['http', 'https']) {
      const { code, said } = await run(tool, `download ${scheme}://far.invalid/file ${SHA256} ${work}/got`);
      expect(said.split('\n').at(-1)).toMatch(/^error: the proxy http:\/\/[^@]*:\d+ did not get http/);
      expect(code).toBe(75);
      expect(said).not.toContain('pass%20word');
    }
  });

  test.each([
    { name: 'the server', status: '', from: () => url('/none'), refused: 'yes' },
    {
      name: 'a proxy that wants another password',
      status: '407',
      from: () => 'http://far.invalid/file',
      refused: 'no',
    },
    {
      name: 'a proxy that lets nobody there',
      status: '403',
      from: () => 'https://far.invalid/file',
      refused: 'no',
    },
  ])('who refuses is told from who is only on the way: $name', async ({ status, from, refused }) => {
    if (status !== '') proxyIs(`http://${status}:x@127.0.0.1:${port()}`);
    const command = `fetch_part ${from()} ${work}/got || if was_refused; then say yes; else say no; fi`;
    expect(await run(tool, command)).toEqual({ code: 0, said: refused });
  });

  test('a proxy that cannot reach the server is named, and is not to blame', async () => {
    proxyIs(`http://502:x@127.0.0.1:${port()}`);
    for (const scheme of ['http', 'https']) {
      const { code, said } = await run(tool, `download ${scheme}://far.invalid/file ${SHA256} ${work}/got`);
      expect(said.split('\n').at(-1)).toContain(`through the proxy ${url('')}`);
      expect(code).toBe(72);
    }
  });
});

it.each([
  { address: 'http://h/x', host: 'h' },
  { address: 'https://u:p@h:8080', host: 'h' },
  { address: 'http://[fd00::1]:80/x', host: 'fd00::1' },
])('the host of $address', async ({ address, host }) => {
  expect((await run('curl', `host_of ${address}`)).said).toBe(host);
});
