// SPDX-License-Identifier: Apache-2.0
// The proxy in front of moto as a process of its own: its work is not to be the bench's, which shares its thread with watches.
import { join } from 'node:path';
import { freePort } from '../../hack/stack/ports.ts';
import { startServer, waitUntil } from '../../hack/stack/process.ts';
import { usageOf } from '../process-usage.ts';

export interface CountingProxy {
  /** The endpoint for every service. */
  readonly url: string;
  /** `ec2.RunInstances` -> attempts. */
  counts(): Promise<ReadonlyMap<string, number>>;
  /** How many of the last 50,000 calls were answered with an error, or with nothing. */
  failures(): Promise<number>;
  /** moto is empty, and nothing has been counted. */
  reset(): Promise<void>;
  cpuSeconds(): number;
  stop(): Promise<void>;
}

const MAIN = join(import.meta.dirname, '../../test/aws/proxy/main.ts');

/** `upstream` is moto's URL; `dir` gets the log. */
export async function startCountingProxy(upstream: string, dir: string): Promise<CountingProxy> {
  const [port, controlPort] = [await freePort(), await freePort()];
  const server = startServer({
    name: 'proxy',
    binary: process.execPath,
    logFile: join(dir, 'proxy.log'),
    args: [MAIN, `--upstream=${upstream}`, `--port=${port}`, `--control-port=${controlPort}`],
  });
  const ask = async (path: string, method = 'GET'): Promise<unknown> => {
    const answer = await fetch(`http://127.0.0.1:${controlPort}${path}`, { method });
    if (!answer.ok) throw new Error(`the proxy does not ${method} ${path}: ${await answer.text()}`);
    return answer.json();
  };
  const answers = async () => (await ask('/counts')) !== undefined;
  try {
    await waitUntil(answers, { what: 'the proxy to answer', timeoutMs: 60_000, server });
  } catch (error) {
    await server.stop();
    throw error;
  }
  return {
    url: `http://127.0.0.1:${port}`,
    counts: async () => new Map(Object.entries((await ask('/counts')) as Record<string, number>)),
    async failures() {
      const calls = (await ask('/calls')) as { status: number }[];
      return calls.filter(({ status }) => status < 200 || status >= 400).length;
    },
    reset: async () => void (await ask('/reset', 'POST')),
    cpuSeconds: () => usageOf(server.pid).cpuSeconds,
    stop: () => server.stop(),
  };
}
