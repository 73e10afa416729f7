// SPDX-License-Identifier: Apache-2.0
// Public keys that may log in: read as sshd does, added to what is there.
import { quote, heredoc } from '../job/shell.ts';
import { type Field, itemsOf, wordOf } from './fields.ts';
import { InterpretError } from './interpret-error.ts';

const TYPES =
  /^(?:dsa|rsa|ecdsa|ed25519|(?:sk-)?(?:ssh|ecdsa)-(?:dss|rsa|ed25519|xmss|sha2-nistp(?:256|384|521))(?:-cert-v01)?(?:@openssh\.com)?)$/;

/** Options may hold blanks inside of quotes. */
const OPTIONS = /^(?:\\"|"(?:\\"|[^"])*"|[^\s"])+/;

interface Key {
  /** What makes it the same key: its base64. */
  readonly base64: string;
  readonly line: string;
}

/** A list, or one string. What is not a key is passed over, as in cloud-init. */
export function keysOf(field: Field): Key[] {
  const lines = typeof field.value === 'string' ? [field] : itemsOf(field);
  return lines.map((line) => keyOf(wordOf(line))).filter((key) => key !== undefined);
}

function keyOf(text: string): Key | undefined {
  const line = text.trim();
  if (line.startsWith('#')) return undefined;
  const plain = partsOf(line);
  if (plain !== undefined) return plain;
  const [options = ''] = OPTIONS.exec(line) ?? [];
  const rest = partsOf(line.slice(options.length).trimStart());
  return rest && { base64: rest.base64, line: `${options} ${rest.line}` };
}

function partsOf(text: string): Key | undefined {
  const [, type = '', base64 = '', comment = ''] = /^(\S+)\s+(\S+)(?:\s+([^]*))?$/.exec(text) ?? [];
  if (!TYPES.test(type) || base64 === '') return undefined;
  return { base64, line: [type, base64, comment].filter((part) => part !== '').join(' ') };
}

/** The function of the shell that {@link authorize} calls. A line with the same key is replaced. */
export const AUTHORIZE = String.raw`
authorize() {
  home=$(getent passwd "$1" | cut -d : -f 6)
  [ -n "$home" ] || return 1
  file=$home/.ssh/authorized_keys
  ! [ -L "$home/.ssh" ] && ! [ -L "$file" ] && ! [ -d "$file" ] || return 1
  if ! [ -d "$home/.ssh" ]; then
    make_folder "$home/.ssh" && chmod 700 "$home/.ssh" && chown "$1:$(id -g "$1")" "$home/.ssh" || return 1
  fi
  remember "$file" || return 1
  if ! [ -e "$file" ]; then
    ( umask 077; : >"$file" ) && chown "$1:$(id -g "$1")" "$file" || return 1
  fi
  work=$(mktemp -d) || return 1
  base64 -d >"$work/keys" && awk -v keys="$work/keys" '
    BEGIN {
      while ((getline text < keys) > 0) {
        n++
        split(text, part, "\t")
        id[n] = part[1]
        line[n] = substr(text, length(part[1]) + 2)
      }
    }
    /^[ \t]*#/ || NF == 0 { print; next }
    {
      hit = 0
      for (i = 1; i <= n; i++) for (f = 1; f <= NF; f++) if ($f == id[i]) hit = i
      if (hit) { used[hit] = 1; print line[hit] } else print
    }
    END { for (i = 1; i <= n; i++) if (!used[i]) print line[i] }
  ' "$file" >"$work/new" && cat "$work/new" >"$file"
  code=$?
  rm -rf "$work"
  label "$file"
  return "$code"
}
`;

/** Call of the function for one user; ends the step when it fails. */
export function authorize(user: string, keys: readonly Key[], field: string): string {
  const unique = keys.filter(
    (key, index) => keys.findIndex((other) => other.base64 === key.base64) === index,
  );
  if (unique.some((key) => key.line.includes('\t')))
    throw new InterpretError(field, 'has a tab inside of a key: use blanks');
  const lines = unique.map((key) => `${key.base64}\t${key.line}\n`).join('');
  return `authorize ${quote(user)} ${heredoc(lines, ` || failed ${quote(`${field}: cannot write the keys of ${user}`)}`)}`;
}
