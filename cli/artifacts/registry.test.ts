// SPDX-License-Identifier: Apache-2.0
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { Response } from 'undici';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { type HttpClient, httpClient } from './http.ts';
import { registryClient } from './registry.ts';

const LOGIN = { username: 'robot', password: 'secret' };

let folder: string;
let http: HttpClient;
let asked: { readonly url: string; readonly authorization: string | undefined }[];
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'registry-'));
  http = httpClient({ pauseMs: 1 });
  asked = [];
});
afterEach(async () => {
  rmSync(folder, { recursive: true, force: true });
  await http.close();
});

/** A registry that sends whoever asks to `realm`; files are read as they always are. */
function sending(origin: string, realm: string) {
  const ask: HttpClient['ask'] = async (url, request) => {
    asked.push({ url, authorization: request?.headers?.['authorization'] });
    if (!url.startsWith(origin)) return http.ask(url, request);
    const answer = new Response(null, {
      status: 401,
      headers: { 'www-authenticate': `Bearer realm="${realm}",service="s"` },
    });
    Object.defineProperty(answer, 'url', { value: url });
    return answer;
  };
  return registryClient({ ...http, ask }, { origin, prefix: '' }, { login: LOGIN, actions: 'pull' });
}

describe('a registry that says where to log in', () => {
  it('does not get what is in a file of this machine', async () => {
    writeFileSync(join(folder, 'login.json'), JSON.stringify({ token: 'mine' }));
    const registry = sending('https://r.example', pathToFileURL(join(folder, 'login.json')).href);
    await expect(registry.manifest('app', 'v1')).rejects.toThrow('not https');
    expect(asked.map(({ url }) => url)).toEqual(['https://r.example/v2/app/manifests/v1']);
  });

  it('does not get the password sent in the clear when it is behind https itself', async () => {
    const registry = sending('https://r.example', 'http://127.0.0.1:1/token');
    await expect(registry.manifest('app', 'v1')).rejects.toThrow('not https');
    expect(asked).toHaveLength(1);
  });
});
