// SPDX-License-Identifier: Apache-2.0
// In place of an API server on a host: it answers /readyz over TLS, and says whose it is. It is a service of the host, which hangs, dies and
// ends with it. Its certificate is made once, so that it starts at once.
import { setTimeout as sleep } from 'node:timers/promises';
import { get } from 'node:https';
import type { TestHost } from '../../hack/hosts/world.ts';

const FOLDER = '/run/api-stand-in';

const START = `mkdir -p ${FOLDER} && cd ${FOLDER} || exit 1
[ -e key.pem ] || openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=api 2>/dev/null || exit 1
printf ok >readyz && uname -n >who || exit 1
if pgrep -x openssl >/dev/null; then exit 0; fi
systemd-run --quiet --collect --working-directory=${FOLDER} openssl s_server -accept 6443 -cert cert.pem -key key.pem -WWW -quiet`;

/** Twice is harmless. */
export async function startApi(host: TestHost): Promise<void> {
  const { code, stderr } = await host.exec(['/bin/sh', '-c', START]);
  if (code !== 0) throw new Error(`no stand-in on ${host.name}: ${stderr}`);
}

const STOP = `pkill -KILL -x openssl
while pgrep -x openssl >/dev/null; do sleep 0.05; done`;

/** It dies; with `hang` it stays, and answers nothing. */
export async function stopApi(host: TestHost, { hang } = { hang: false }): Promise<void> {
  await host.exec(['/bin/sh', '-c', hang ? `pkill -STOP -x openssl` : STOP]);
}

/** The name of the host whose stand-in answers; '' when nobody does. */
export function whoAnswers(address: string): Promise<string> {
  return new Promise((resolve) => {
    const options = { host: address, port: 6443, path: '/who', rejectUnauthorized: false, agent: false };
    const request = get({ ...options, timeout: 400 }, (response) => {
      let body = '';
      response.setEncoding('utf8').on('data', (text: string) => (body += text));
      response.on('end', () => resolve(body.trim()));
    });
    request.on('error', () => resolve('')).on('timeout', () => request.destroy(new Error('no answer')));
  });
}

/** What clients of an address saw while something happened. */
export interface Seen {
  /** Longest time without an answer, also when the last of it was not seen. */
  readonly gapMs: number;
  /** Whoever answered at the end. */
  readonly last: string;
  /** Until somebody else answered than at the beginning; `undefined` when nobody did. */
  readonly movedMs: number | undefined;
}

/** Asks without a pause for so long, beginning when `act` begins. */
export async function watchAddress(address: string, ms: number, act: () => Promise<unknown>): Promise<Seen> {
  const first = await whoAnswers(address);
  const began = Date.now();
  let [answered, gapMs, last] = [began, 0, first];
  let movedMs: number | undefined;
  const acting = act();
  while (Date.now() - began < ms) {
    const who = await whoAnswers(address);
    const now = Date.now();
    if (who !== '') {
      gapMs = Math.max(gapMs, now - answered);
      answered = now;
      last = who;
      if (who !== first) movedMs ??= now - began;
    }
    await sleep(20);
  }
  await acting;
  return { gapMs: Math.max(gapMs, Date.now() - answered), last, movedMs };
}
