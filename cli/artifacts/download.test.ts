// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { checksumIn, download } from './download.ts';
import { type HttpClient, httpClient } from './http.ts';

const SUM = 'ab'.repeat(32);

describe('checksumIn', () => {
  it.each([
    ['a sum alone', SUM, SUM],
    ['in capital letters', `${SUM.toUpperCase()}\n`, SUM],
    ['with a name', `${SUM}  runc.amd64\n`, SUM],
    ['of a binary file', `${SUM} *runc.amd64\n`, SUM],
    ['with a folder', `${SUM}  ./out/runc.amd64\n`, SUM],
    ['in a list', `${'0'.repeat(64)}  runc.arm64\n${SUM}  runc.amd64\n`, SUM],
    ['in a signed list', `-----BEGIN PGP SIGNED MESSAGE-----\n\n${SUM}  runc.amd64\n-----BEGIN`, SUM],
    ['of another file only', `${SUM}  runc.arm64\n`, undefined],
    ['not there', '<html>404</html>', undefined],
    ['several without names', `${SUM}\n${SUM}\n`, undefined],
  ])('%s', (_, text, sum) => {
    expect(checksumIn(text, 'runc.amd64')).toBe(sum);
  });
});

describe('download', () => {
  const content = Buffer.from('0123456789'.repeat(1000));
  const sha256 = createHash('sha256').update(content).digest('hex');
  let folder: string;
  let server: Server;
  let http: HttpClient;
  let asked: (string | undefined)[];
  /** One for each answer; then the whole file is given. */
  let moods: ('unwell' | 'cut' | 'ignores ranges' | 'gone')[];

  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'download-'));
    http = httpClient({ pauseMs: 1 });
    [asked, moods] = [[], []];
    server = createServer((request, response) => {
      asked.push(request.headers.range);
      const mood = moods.shift();
      if (mood === 'unwell') return void response.writeHead(503).end('busy');
      if (mood === 'gone') return void response.writeHead(404).end();
      const range = mood === 'ignores ranges' ? undefined : request.headers.range;
      const start = Number(/\d+/.exec(range ?? '')?.[0] ?? 0);
      if (start >= content.length) return void response.writeHead(416).end();
      response.writeHead(start > 0 ? 206 : 200, { 'content-length': content.length - start });
      if (mood !== 'cut') return void response.end(content.subarray(start));
      response.write(content.subarray(start, start + 3000));
      setTimeout(() => response.destroy(), 20);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  });
  afterEach(async () => {
    await http.close();
    server.closeAllConnections();
    server.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const target = () => join(folder, 'file');
  const get = () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
    return download(http, { url, sha256, target: target() });
  };
  const isThere = () => readFileSync(target()).equals(content) && !existsSync(`${target()}.part`);

  it('goes on where it was cut', async () => {
    moods = ['cut', 'cut'];
    await get();
    expect(asked).toEqual([undefined, 'bytes=3000-', 'bytes=6000-']);
    expect(isThere()).toBe(true);
  });

  it('asks again a server that is unwell', async () => {
    moods = ['unwell', 'unwell'];
    await get();
    expect(isThere()).toBe(true);
  });

  it('gives up after four times, and says what it was told', async () => {
    moods = ['unwell', 'unwell', 'unwell', 'unwell', 'unwell'];
    await expect(get()).rejects.toThrow(/\/file.*503 busy/);
    expect(asked).toHaveLength(4);
  });

  it('asks only once for what is not there', async () => {
    moods = ['gone'];
    await expect(get()).rejects.toThrow('404');
    expect(asked).toHaveLength(1);
  });

  it('begins anew where a server cannot give the rest', async () => {
    moods = ['cut', 'ignores ranges'];
    await get();
    expect(isThere()).toBe(true);
  });

  it('takes what a run before has left, also all of it', async () => {
    writeFileSync(`${target()}.part`, content);
    await get();
    expect(asked).toEqual([`bytes=${content.length}-`]);
    expect(isThere()).toBe(true);
  });

  it('throws away what a run before has left of another file', async () => {
    writeFileSync(`${target()}.part`, 'of another file');
    await get();
    expect(asked).toEqual(['bytes=15-', undefined]);
    expect(isThere()).toBe(true);
  });

  it('keeps nothing that has another sum', async () => {
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/file`;
    await expect(download(http, { url, sha256: SUM, target: target() })).rejects.toThrow(
      `SHA-256 is ${sha256}, published is ${SUM}`,
    );
    expect(existsSync(target())).toBe(false);
    expect(existsSync(`${target()}.part`)).toBe(false);
  });
});
