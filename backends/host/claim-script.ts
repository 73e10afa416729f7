// SPDX-License-Identifier: Apache-2.0
// How short scripts that configure a host make it its owner's, and how they answer.
import type { HostOwner } from '../host-driver.ts';
import { STATE_FOLDER } from './job/job.ts';
import { quote } from './job/shell.ts';

/** One line `ts-provider: <word> <rest>`; `tell` ends the script. Needs `say` of the prelude. */
export const TELL = String.raw`
tell() { say "ts-provider: $*" | head -c 500 | tr '\n' ' '; say; exit 0; }
`;

/** Sets `state` and defines `claim`: tells `foreign <owner>` when the host names another one. The same file that jobs write: it has no owner twice. */
export function claimFunction(owner: HostOwner): string {
  return `state=${STATE_FOLDER} owner=${quote(`${owner.token} ${owner.generation}`)}\n${CLAIM}`;
}

const CLAIM = String.raw`
claim() {
  mkdir -p "$state" && chmod 700 "$state" || tell 'failed the state folder cannot be made'
  if [ ! -e "$state/owner" ]; then
    new=$(mktemp "$state/.owner-XXXXXX") && say "$owner" >"$new" && ln "$new" "$state/owner" 2>/dev/null
    rm -f "$new"
  fi
  [ "$(cat "$state/owner" 2>/dev/null)" = "$owner" ] || tell "foreign $(head -n 1 "$state/owner" | cut -c 1-80)"
}
`;

/** Ends the script with `missing <attempts>` where the program is not there: so often its installation was begun. Needs `$state` and `have`. */
export function missingCheck(program: string, { generation }: HostOwner): string {
  return `if ! have ${program}; then
  attempts=0
  for one in "$state"/jobs/${program}-${generation}-*; do if [ -d "$one" ]; then attempts=$((attempts + 1)); fi; done
  tell "missing $attempts"
fi
`;
}

/** The answer of a script; an empty word when it did not come to one. */
export function answerOf(stdout: string): { readonly word: string; readonly rest: string } {
  const [, word = '', rest = ''] = /^ts-provider: (\S+) ?(.*)$/m.exec(stdout) ?? [];
  return { word, rest };
}

/** What a person has to know when {@link claimFunction} has told `foreign`. */
export function foreignOwnerMessage(seen: string, { token, generation }: HostOwner): string {
  return `${STATE_FOLDER}/owner on the host names ${seen}, not ${token} ${generation}: release what has the host first, or clean the host`;
}
