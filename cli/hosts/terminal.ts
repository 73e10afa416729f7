// SPDX-License-Identifier: Apache-2.0
// What `hosts import` needs of the world: hosts over SSH, files, and a person.
import { readFileSync } from 'node:fs';
import { createInterface } from 'node:readline/promises';
import type { SshEndpoint } from '../../backends/host-driver.ts';
import { fingerprint } from '../../backends/host/ssh/host-keys.ts';
import { scanHostKey } from '../../backends/host/ssh/scan.ts';
import { systemClock } from '../../runtime/clock.ts';
import { createLogger } from '../../runtime/logger.ts';
import type { EndpointEntry, HostEntry } from './entry.ts';
import type { ImportDeps } from './import.ts';

const SCAN_MS = 30_000;

/** This process's terminal, and the network. Fingerprints and questions go to the standard error: the output is for kubectl. */
export const terminal: ImportDeps = {
  scan,
  fingerprint,
  say: (line) => void process.stderr.write(`${line}\n`),
  async ask(question) {
    if (!process.stdin.isTTY) return undefined;
    const lines = createInterface({ input: process.stdin, output: process.stderr });
    try {
      return /^y(es)?$/i.test((await lines.question(question)).trim());
    } finally {
      lines.close();
    }
  },
};

function scan(end: HostEntry | EndpointEntry): Promise<string> {
  const ctx = {
    signal: AbortSignal.timeout(SCAN_MS),
    log: createLogger({ level: 'silent' }),
    clock: systemClock,
  };
  const bastion = 'bastion' in end && end.bastion !== undefined ? endpoint(end.bastion) : undefined;
  return scanHostKey(ctx, end, bastion === undefined ? {} : { bastion });
}

/** The way to a host behind a bastion needs a login there. */
function endpoint(entry: EndpointEntry): SshEndpoint {
  return {
    address: entry.address,
    port: entry.port,
    user: entry.user,
    credentials: { privateKey: readFileSync(entry.keyFile, 'utf8') },
    hostKeys: entry.hostKeys,
    trustOnFirstUse: false,
  };
}
