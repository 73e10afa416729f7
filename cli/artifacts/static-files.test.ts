// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { appendFileSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { formatManifest } from '../../preparation/artifacts/manifest.ts';
import { type FileServer, startFileServer } from './serve.ts';
import type { Access } from './static-files.ts';

const content = '0123456789';
const sha256 = createHash('sha256').update(content).digest('hex');

let folder: string;
let server: FileServer;
let log: Access[];

function list(...paths: string[]): void {
  const artifacts = paths.map((path) => ({
    ...({ kind: 'binary', name: path, version: '1', platform: 'linux-amd64' } as const),
    ...{ sha256, size: content.length, path },
  }));
  writeFileSync(join(folder, 'manifest'), formatManifest(artifacts));
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'serve-'));
  for (const name of ['file', 'unlisted', 'c++']) writeFileSync(join(folder, name), content);
  symlinkSync('/etc', join(folder, 'etc'));
  list('file', 'c++', 'missing');
  log = [];
  server = await startFileServer({
    dir: folder,
    host: '127.0.0.1',
    port: 0,
    log: (access) => log.push(access),
  });
});
afterEach(async () => {
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Answer {
  readonly status: number;
  readonly headers: NodeJS.Dict<string | string[]>;
  readonly body: string;
}

/** As it is: `fetch` tidies paths. */
function ask(
  path: string,
  options: { method?: string; headers?: Record<string, string> } = {},
): Promise<Answer> {
  const { port } = new URL(server.url);
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, path, ...options }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (chunk: string) => (body += chunk));
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body }),
      );
    });
    sent.on('error', reject).end();
  });
}

describe('artifacts serve', () => {
  it('gives what the manifest lists, with its sum as tag', async () => {
    const { status, headers, body } = await ask('/file');
    expect([status, body]).toEqual([200, content]);
    expect(headers).toMatchObject({ etag: `"${sha256}"`, 'content-length': '10', 'accept-ranges': 'bytes' });
    expect((await ask('/manifest')).body).toContain(sha256);
    expect((await ask('/c%2B%2B')).body).toBe(content);
    expect((await ask('/c++?x=1')).body).toBe(content);
  });

  it.each([
    '/',
    '/unlisted',
    '/missing',
    '/etc/passwd',
    '/../../../../etc/passwd',
    '/%2e%2e/%2e%2e/etc/passwd',
    '//etc/passwd',
    '/file/',
    '/.progress',
    '/%',
    '/file%00',
  ])('gives nothing for %s', async (path) => {
    expect(await ask(path)).toMatchObject({ status: 404, body: '' });
  });

  it.each([
    ['bytes=0-3', 206, '0123', 'bytes 0-3/10'],
    ['bytes=7-', 206, '789', 'bytes 7-9/10'],
    ['bytes=8-100', 206, '89', 'bytes 8-9/10'],
    ['bytes=-4', 206, '6789', 'bytes 6-9/10'],
    ['bytes=-100', 206, content, 'bytes 0-9/10'],
    ['bytes=10-', 416, '', 'bytes */10'],
    ['bytes=5-2', 416, '', 'bytes */10'],
    ['bytes=-', 200, content, undefined],
    ['bytes=0-1,3-4', 200, content, undefined],
    ['lines=0-1', 200, content, undefined],
  ])('range %s: %i %j', async (range, status, body, contentRange) => {
    const answer = await ask('/file', { headers: { range } });
    expect([answer.status, answer.body, answer.headers['content-range']]).toEqual([
      status,
      body,
      contentRange,
    ]);
  });

  it('gives the rest only of the file that was begun', async () => {
    const rest = (tag: string) => ask('/file', { headers: { range: 'bytes=5-', 'if-range': tag } });
    expect((await rest(`"${sha256}"`)).status).toBe(206);
    expect((await rest('"another"')).status).toBe(200);
  });

  it('HEAD gives the same without content, If-None-Match nothing at all, and other methods are refused', async () => {
    const head = await ask('/file', { method: 'HEAD' });
    expect(head).toMatchObject({ status: 200, body: '' });
    expect(head.headers['content-length']).toBe('10');
    expect((await ask('/file', { headers: { 'if-none-match': `"${sha256}"` } })).status).toBe(304);
    expect((await ask('/file', { method: 'POST' })).status).toBe(405);
    expect((await ask('/file', { method: 'DELETE' })).status).toBe(405);
  });

  it('claims nothing of a file that is not the one in the manifest', async () => {
    appendFileSync(join(folder, 'file'), 'x');
    const { status, headers, body } = await ask('/file');
    expect([status, headers['etag'], body]).toEqual([200, undefined, `${content}x`]);
  });

  it('gives what a bundle has got since', async () => {
    list('file', 'unlisted');
    expect((await ask('/unlisted')).status).toBe(200);
    expect((await ask('/c++')).status).toBe(404);
  });

  it('notes who asked for what, and how many bytes went out', async () => {
    await ask('/file', { headers: { range: 'bytes=0-3' } });
    await ask('/nothing');
    // It is noted when all has gone out, which may be after it has arrived.
    await expect
      .poll(() => log)
      .toEqual([
        { client: '127.0.0.1', method: 'GET', path: '/file', status: 206, bytes: 4 },
        { client: '127.0.0.1', method: 'GET', path: '/nothing', status: 404, bytes: 0 },
      ]);
  });
});
