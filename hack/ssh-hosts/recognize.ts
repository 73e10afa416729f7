// SPDX-License-Identifier: Apache-2.0
// What a script that a manager sends is: a simulated host runs none of them, it answers as a host would that did.
import { END } from '../../backends/host/probe/script.ts';

/** Of all steps of a preparation, and the version of Kubernetes. */
export interface Preparation {
  readonly hash: string;
  readonly version: string;
}

/** A script, with what of it decides the answer. Owners are `<token> <generation>`, as hosts write them. */
export type Request =
  | { readonly kind: 'probe' | 'name' | 'finish' | 'wait' }
  | { readonly kind: 'progress' | 'launch'; readonly job: string }
  | {
      readonly kind: 'look';
      readonly job: string;
      readonly owner: string | undefined;
      /** The job is refused while another one works. */
      readonly alone: boolean;
    }
  | {
      readonly kind: 'upload';
      readonly job: string;
      readonly owner: string | undefined;
      readonly alone: boolean;
      /** What the host is prepared for when the job has ended well. */
      readonly preparation: Preparation | undefined;
      readonly plan: readonly string[];
      readonly secrets: readonly string[];
    }
  | { readonly kind: 'balance'; readonly owner: string; readonly config: string }
  | { readonly kind: 'release'; readonly owner: string }
  | {
      readonly kind: 'reboot';
      readonly owner: string;
      readonly fromBootID: string;
      readonly holdKubelet: boolean;
    }
  /** Scripts have changed, and this file has not. */
  | { readonly kind: 'unknown' };

type Parse = (script: string) => Request;

/** By a piece that no other script has; the first one counts. */
const SIGNS: readonly (readonly [sign: string, parse: Parse])[] = [
  [`say '${END}'\n`, () => ({ kind: 'probe' })],
  ["echo 'none'; echo 'end of answer'", (script) => ({ kind: 'progress', job: jobOf(script) })],
  ["echo 'ts-provider: absent'", look],
  ['base64 -d >plan ', upload],
  ["echo 'ts-provider: started'", (script) => ({ kind: 'launch', job: jobOf(script) })],
  ['remove "$state" && [ ! -e "$state" ]', () => ({ kind: 'finish' })],
  ['tell applied', balance],
  [
    "release_kubelet && say 'ts-provider: released'",
    (script) => ({ kind: 'release', owner: onlyOf(script) }),
  ],
  ["say 'ts-provider: asked'", reboot],
  ['while [ $n -lt ', () => ({ kind: 'wait' })],
];

/** `unknown` for a script that no part of the manager makes. */
export function recognize(script: string): Request {
  if (script === 'uname -n\n') return { kind: 'name' };
  const parse = SIGNS.find(([sign]) => script.includes(sign))?.[1];
  return parse?.(script) ?? { kind: 'unknown' };
}

function jobOf(script: string): string {
  return /^d=\S*\/jobs\/([a-z0-9-]+)$/m.exec(script)?.[1] ?? '';
}

function ownerOf(script: string): string | undefined {
  return /\$\(cat "\$state\/owner"\)" != '([^']+)'/.exec(script)?.[1];
}

function look(script: string): Request {
  return { kind: 'look', job: jobOf(script), owner: ownerOf(script), alone: isAlone(script) };
}

function isAlone(script: string): boolean {
  return script.includes('ts-provider: occupied');
}

function upload(script: string): Request {
  const lines = (file: string) =>
    data(script, `>${file} `)
      .split('\n')
      .filter((line) => line !== '');
  const [owner, plan] = [ownerOf(script), lines('plan')];
  return {
    ...{ kind: 'upload', job: jobOf(script), owner, plan, secrets: lines('secrets') },
    alone: isAlone(script),
    preparation: preparationOf(script, plan.at(-1) ?? ''),
  };
}

/** The last step of a preparation writes down what it was. */
function preparationOf(script: string, last: string): Preparation | undefined {
  const [file = '', id] = last.split(' ');
  if (id !== 'complete') return undefined;
  const step = data(script, `>steps/${file} `);
  const hash = /^plan_hash=([0-9a-f]{16})$/m.exec(step)?.[1];
  const version = /^tag=(v[\d.]+)$/m.exec(step)?.[1];
  return hash === undefined || version === undefined ? undefined : { hash, version };
}

function onlyOf(script: string): string {
  return /\[ "\$seen" != '([^']+)' \]/.exec(script)?.[1] ?? '';
}

function reboot(script: string): Request {
  const fromBootID = /^if \[ "\$boot" != (\S+) \]; then$/m.exec(script)?.[1] ?? '';
  const holdKubelet = script.includes('\nhold_kubelet || ');
  return { kind: 'reboot', owner: onlyOf(script), fromBootID, holdKubelet };
}

function balance(script: string): Request {
  const owner = /^state=\S+ owner='([^']+)'$/m.exec(script)?.[1] ?? '';
  return { kind: 'balance', owner, config: data(script, '>"$new" ') };
}

/** What is written to a file, which the script carries in base64. */
function data(script: string, target: string): string {
  const [, rest = ''] = script.split(`base64 -d ${target}<<'END_OF_DATA'`);
  const [encoded = ''] = rest.split('END_OF_DATA');
  return Buffer.from(encoded.slice(encoded.indexOf('\n')), 'base64').toString();
}
