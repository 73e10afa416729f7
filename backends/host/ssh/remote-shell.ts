// SPDX-License-Identifier: Apache-2.0
// The command line that a host is asked to run, always the same but for its time limit, and what is sent to it afterwards. Everybody on
// the host can read command lines; what travels through standard input nobody else can.

/** Printed to both outputs when the shell is there: what came before was not ours (a login script's chatter, a lecture of sudo). */
export const READY = 'ts-provider: ready';
/** What sudo is told to print when it wants a password. */
export const PASSWORD_PROMPT = 'ts-provider: password for sudo';

/** How a user becomes root. */
export type Escalation = 'none' | 'sudo' | 'sudoWithPassword';

const SEARCH_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Reads the script as one line of base64: `read` takes no byte more, so that the rest of standard input is the script's own. A line that
 * ends too early, on a link that was cut, is not run. Neither single quotes nor `!`: login shells are of all kinds.
 */
const SHELL = [
  'cd / && umask 022 && LC_ALL=C && export LC_ALL',
  `PATH=$PATH:${SEARCH_PATH} && export PATH`,
  'command -v base64 >/dev/null || { echo "base64 is not installed" >&2; exit 1; }',
  `echo "${READY}" && echo "${READY}" >&2`,
  'IFS= read -r ts_provider_script || exit 1',
  'eval "$(echo "$ts_provider_script" | base64 -d)"',
].join('; ');

/** `seconds` is when the host itself ends what still runs, so that nothing outlives a cut link for long. */
export function remoteCommand(escalation: Escalation, seconds: number): string {
  // With TERM first: a script may clean up. In a process group of its own, which detached work leaves.
  const shell = `timeout -k 5 ${seconds} sh -c '${SHELL}'`;
  switch (escalation) {
    case 'none':
      return `exec ${shell}`;
    case 'sudo':
      return `exec env LC_ALL=C sudo -H -n -- ${shell}`;
    case 'sudoWithPassword':
      return `exec env LC_ALL=C sudo -H -S -p '${PASSWORD_PROMPT}' -- ${shell}`;
  }
}

/** What follows the {@link READY} line: the script, then its input up to the end of standard input. */
export function scriptAndInput(script: string, input: string | Buffer): Buffer {
  const bytes = typeof input === 'string' ? Buffer.from(input) : input;
  const whole = `unset ts_provider_script; input_bytes=${bytes.length}\n${script}`;
  return Buffer.concat([Buffer.from(`${Buffer.from(whole).toString('base64')}\n`), bytes]);
}
