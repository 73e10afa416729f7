// SPDX-License-Identifier: Apache-2.0
// What a script that a manager sends is: a simulated host runs none of them, it answers as a host would that did.
import { END } from '../../backends/host/probe/script.ts';

/** A script, with what of it decides the answer. Owners are `<token> <generation>`, as hosts write them. */
export type Request =
  | { readonly kind: 'probe' | 'name' | 'finish' | 'wait' }
  | { readonly kind: 'progress' | 'launch'; readonly job: string }
  | { readonly kind: 'look'; readonly job: string; readonly owner: string | undefined }
  | {
      readonly kind: 'upload';
      readonly job: string;
      readonly owner: string | undefined;
      readonly plan: readonly string[];
      readonly secrets: readonly string[];
    }
  | { readonly kind: 'balance'; readonly owner: string; readonly config: string }
  /** Scripts have changed, and this file has not. */
  | { readonly kind: 'unknown' };

type Parse = (script: string) => Request;

/** By a piece that no other script has; the first one counts. */
const SIGNS: readonly (readonly [sign: string, parse: Parse])[] = [
  [`say '${END}'\n`, () => ({ kind: 'probe' })],
  ["echo 'none'; echo 'end of answer'", (script) => ({ kind: 'progress', job: jobOf(script) })],
  ["echo 'ts-provider: absent'", (script) => ({ kind: 'look', job: jobOf(script), owner: ownerOf(script) })],
  ['base64 -d >plan ', upload],
  ["echo 'ts-provider: started'", (script) => ({ kind: 'launch', job: jobOf(script) })],
  ['remove "$state" && [ ! -e "$state" ]', () => ({ kind: 'finish' })],
  ['tell applied', balance],
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

function upload(script: string): Request {
  const lines = (file: string) =>
    data(script, `>${file} `)
      .split('\n')
      .filter((line) => line !== '');
  const owner = ownerOf(script);
  return { kind: 'upload', job: jobOf(script), owner, plan: lines('plan'), secrets: lines('secrets') };
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
