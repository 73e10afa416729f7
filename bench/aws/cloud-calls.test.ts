// SPDX-License-Identifier: Apache-2.0
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { countCalls } from './cloud-calls.ts';

const owned: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const stop of owned.splice(0).reverse()) await stop();
});

/** A cloud that answers with what it was asked, and refuses what has `refuse` in it. */
async function counted() {
  const server = createServer((incoming, answer) => {
    let body = '';
    incoming.on('data', (chunk: Buffer) => (body += chunk.toString()));
    incoming.on('end', () => {
      answer.writeHead(body.includes('refuse') ? 503 : 200, {
        'x-asked': incoming.headers['x-amz-target'] ?? '',
      });
      answer.end(body);
    });
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const counter = await countCalls(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  owned.push(async () => void server.close());
  owned.push(() => counter.stop());
  const ask = (body: string, headers: Record<string, string> = {}) =>
    fetch(counter.url, { method: 'POST', body, headers });
  return { counter, ask };
}

describe('call counter', () => {
  it('forwards calls unchanged and counts them by action, of both protocols', async () => {
    const { counter, ask } = await counted();
    const answer = await ask('Action=RunInstances&MinCount=1');
    expect([answer.status, await answer.text()]).toEqual([200, 'Action=RunInstances&MinCount=1']);
    await ask('Action=RunInstances&MinCount=1');
    const secret = await ask('{}', { 'x-amz-target': 'secretsmanager.CreateSecret' });
    expect(secret.headers.get('x-asked')).toBe('secretsmanager.CreateSecret');
    expect(counter.calls()).toEqual(
      new Map([
        ['RunInstances', 2],
        ['CreateSecret', 1],
      ]),
    );
    expect(counter.failures()).toEqual(new Map());
  });

  it('counts what was refused', async () => {
    const { counter, ask } = await counted();
    expect((await ask('Action=DescribeVpcs&refuse=1')).status).toBe(503);
    expect(counter.failures()).toEqual(new Map([['DescribeVpcs 503', 1]]));
    expect(counter.calls()).toEqual(new Map([['DescribeVpcs', 1]]));
  });
});
