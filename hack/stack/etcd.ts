// SPDX-License-Identifier: Apache-2.0
// One etcd member on loopback, over TLS.
import { join } from 'node:path';
import type { PKI } from './pki.ts';
import { freePort } from './ports.ts';
import { type Server, startServer } from './process.ts';

export interface Etcd {
  /** `https://127.0.0.1:PORT`; clients show a certificate of the etcd CA. */
  readonly url: string;
  readonly server: Server;
}

/** Returns at once; whoever uses it waits. Data lives in `dir` and is not flushed to disk: nothing here outlives a power cut. */
export async function startEtcd(options: { etcd: string; dir: string; pki: PKI }): Promise<Etcd> {
  const { pki, dir } = options;
  const url = `https://127.0.0.1:${await freePort()}`;
  const peer = `http://127.0.0.1:${await freePort()}`;
  const server = startServer({
    name: 'etcd',
    binary: options.etcd,
    logFile: join(dir, 'etcd.log'),
    args: [
      `--data-dir=${join(dir, 'etcd')}`,
      `--listen-client-urls=${url}`,
      `--advertise-client-urls=${url}`,
      `--listen-peer-urls=${peer}`,
      `--initial-advertise-peer-urls=${peer}`,
      `--initial-cluster=default=${peer}`,
      `--cert-file=${join(pki.dir, 'etcd/server.crt')}`,
      `--key-file=${join(pki.dir, 'etcd/server.key')}`,
      `--trusted-ca-file=${join(pki.dir, 'etcd/ca.crt')}`,
      '--client-cert-auth',
      '--unsafe-no-fsync',
      '--log-level=warn',
      '--quota-backend-bytes=4294967296',
    ],
  });
  return { url, server };
}
