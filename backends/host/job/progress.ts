// SPDX-License-Identifier: Apache-2.0
// How far a job on a host is: one run that changes nothing there, and what its answer means.
import { TransientError } from '../../../runtime/errors.ts';
import type { Ctx } from '../../../runtime/context.ts';
import type { JobProgress } from '../../host-driver.ts';
import type { RemoteHost } from '../ssh/remote-host.ts';
import { jobFolder, STATE_FOLDER } from './job.ts';
import { redact } from './redact.ts';
import { LOCK_FUNCTIONS, LOG_MARK } from './runner.ts';
import { quote } from './shell.ts';

/** Reads the journal of the job. `none` when the host has no such job, or no longer. Needs no data of the job. */
export async function jobProgress(
  ctx: Ctx,
  remote: RemoteHost,
  id: string,
  stateFolder: string = STATE_FOLDER,
): Promise<JobProgress> {
  const { exitCode, stdout } = await remote.run(ctx, `{\n${progressScript(id, stateFolder)}exit 0\n}\n`);
  if (exitCode !== 0 || !stdout.endsWith('end of answer\n'))
    throw new TransientError(
      `reading the journal of a job on the host: ${exitCode === undefined ? 'ended by a signal' : `exit code ${exitCode}`}`,
    );
  return progressOf(stdout);
}

/**
 * The line of the log is redacted on the host already: secrets do not travel back. Of the last lines of the step that failed, the
 * last one that speaks of an error is told, else the last one.
 */
function progressScript(id: string, stateFolder: string): string {
  return `d=${quote(jobFolder(id, stateFolder))}
[ -d "$d" ] || { echo 'none'; echo 'end of answer'; exit 0; }
${LOCK_FUNCTIONS}
if is_locked; then echo 'lock held'; else echo 'lock free'; fi
sed 's/^/plan /' "$d/plan"
tail -c 65536 "$d/journal" 2>/dev/null | sed 's/^/journal /'
step=$(sed -n 's/^done failed [A-Za-z]* \\([a-z0-9_-]*\\).*/\\1/p' "$d/journal" 2>/dev/null | head -n 1)
if [ -n "$step" ] && [ -e "$d/log" ]; then
  tail -c 262144 "$d/log" | tr -d '\\000-\\010\\013-\\037' | awk -v mark=${quote(LOG_MARK)} -v step="$step" -v secrets="$d/secrets" '
${AWK}'
fi
echo
echo 'end of answer'
`;
}

const AWK = String.raw`
BEGIN { while ((getline line < secrets) > 0) if (line != "") hidden[++n] = line }
function clean(text, i, at, out) {
  for (i = 1; i <= n; i++) {
    out = ""
    while ((at = index(text, hidden[i])) > 0) {
      out = out substr(text, 1, at - 1) "***"
      text = substr(text, at + length(hidden[i]))
    }
    text = out text
  }
  return text
}
index($0, mark " ") == 1 { mine = ($0 == mark " " step); if (mine) { last = ""; best = "" } next }
# kubeadm ends with an advice that only hides its error.
/^To see the stack trace of this error/ { next }
mine && $0 !~ /^[ \t]*$/ {
  last = $0
  if (tolower($0) ~ /error|fail|fatal|cannot|denied|refused|not found|no such|timed out/) best = $0
}
END { text = best != "" ? best : last; if (text != "") print "log " substr(clean(text), 1, 1000) }
`;

/** `<file> <id> <stage> ...` */
interface Planned {
  readonly id: string;
  readonly stage: string;
}

/** Meaning of an answer of the script. Lines that nobody knows are passed over: the journal may end in the middle of one. */
export function progressOf(answer: string): JobProgress {
  const lines = answer.split('\n');
  if (lines[0] === 'none') return { state: 'none' };
  const told = (word: string): string[] =>
    lines.filter((line) => line.startsWith(`${word} `)).map((line) => line.slice(word.length + 1));
  const plan = told('plan').map((line): Planned => {
    const [, id = '', stage = ''] = line.split(' ');
    return { id, stage };
  });
  const journal = told('journal');
  const done = journal.find((line) => line.startsWith('done '));
  if (done === 'done succeeded') return { state: 'succeeded' };
  if (done !== undefined) return failed(done, plan, told('log')[0] ?? '');
  return running(plan, journal, lines[0] === 'lock held');
}

function running(plan: readonly Planned[], journal: readonly string[], isHeld: boolean): JobProgress {
  const ended = journal.filter((line) => line.startsWith('end ')).length;
  const index = Math.min(ended, Math.max(0, plan.length - 1));
  const stage = plan[index]?.stage ?? 'start';
  const place = `step ${index + 1} of ${plan.length}`;
  if (isHeld) return { state: 'running', stage, message: place };
  const message = `${place}; nothing works on it at this moment: to be started again`;
  return { state: 'running', stage, message, stopped: true };
}

const REASONS: Readonly<Record<string, (line: string) => string>> = {
  StepFailed: (line) => line,
  SuccessFileMissing: (line) => line,
  TimedOut: (line) => `TimedOut: its time was over${line === '' ? '' : `; last: ${line}`}`,
  Interrupted: () => 'Interrupted: a reboot or a kill ended it, and it must not run twice',
  ContentChanged: () => 'ContentChanged: the script on the host is not the one that was put there',
};

function failed(done: string, plan: readonly Planned[], log: string): JobProgress {
  const [, , reason = '', id = '', code = ''] = done.split(' ');
  const stage = plan.find((step) => step.id === id)?.stage ?? 'start';
  const line = redact(log);
  const said = REASONS[reason]?.(line) ?? line;
  const exitCode = /^\d{1,3}$/.test(code) ? { exitCode: Number(code) } : {};
  return { state: 'failed', stage, message: said === '' ? 'it said nothing' : said, ...exitCode };
}
