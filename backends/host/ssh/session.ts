// SPDX-License-Identifier: Apache-2.0
// One script on one connection: a channel, becoming root, the script, its output.
import type { Client, ClientChannel } from 'ssh2';
import { TerminalError, TransientError } from '../../../runtime/errors.ts';
import { type Capture, capture } from './capture.ts';
import { unlessAborted } from './limit.ts';
import { oneLine, type Place, transient } from './naming.ts';
import type { RunResult } from './remote-host.ts';
import { type Escalation, PASSWORD_PROMPT, READY, remoteCommand, scriptAndInput } from './remote-shell.ts';

export interface SessionOptions {
  readonly place: Place;
  readonly user: string;
  /** For a user other than root. */
  readonly sudoPassword: string | undefined;
  readonly script: string;
  readonly input: string | Buffer;
  /** After which the host ends the script by itself. */
  readonly seconds: number;
  readonly maxOutputBytes: number;
  /** Ends the wait, and the channel. */
  readonly signal: AbortSignal;
}

/** Runs the script. TerminalError: SudoRefused, CredentialsRefused; TransientError where it is not known whether it ran or ended. */
export async function runScript(client: Client, options: SessionOptions): Promise<RunResult> {
  const conversation = { ...options, escalation: escalationOf(options) };
  let channel: ClientChannel | undefined;
  const result = new Promise<RunResult>((resolve, reject) => {
    client.exec(remoteCommand(conversation.escalation, options.seconds), (error, opened) => {
      if (error !== undefined) return reject(error);
      channel = opened;
      // At once: a command may have ended already, and says so only now. Also when this has been given up in the meantime.
      converse(channel, conversation).then(resolve, reject);
      if (options.signal.aborted) channel.close();
    });
  });
  try {
    return await unlessAborted(result, options.signal);
  } catch (error) {
    channel?.close();
    throw transient(options.place, 'running a script', error);
  }
}

function escalationOf({ user, sudoPassword }: SessionOptions): Escalation {
  if (user === 'root') return 'none';
  return sudoPassword === undefined ? 'sudo' : 'sudoWithPassword';
}

interface Conversation extends SessionOptions {
  readonly escalation: Escalation;
}

/** The exit code, `null` after a signal, `undefined` when the host did not say how it ended. */
type Ending = number | null | undefined;

async function converse(channel: ClientChannel, options: Conversation): Promise<RunResult> {
  const stdout = capture(READY, options.maxOutputBytes);
  const stderr = capture(READY, options.maxOutputBytes);
  const speak = speaker(channel, options);
  const ended = new Promise<Ending>((resolve, reject) => {
    const hear = (output: Capture) => (chunk: Buffer) => {
      output.add(chunk);
      const problem = overflow(options, [stdout, stderr]) ?? speak(stdout, stderr);
      if (problem !== undefined) reject(problem);
    };
    channel.on('data', hear(stdout));
    channel.stderr.on('data', hear(stderr));
    channel.on('error', reject);
    const allRead = new Promise((read) => channel.stderr.once('close', read));
    channel.once('close', (code: Ending) => void allRead.then(() => resolve(code)));
  });
  const ending = await ended;
  if (!stdout.ready) throw neverStarted(options, ending, stderr);
  if (ending === undefined) throw new Error('the connection broke; whether the script ended is not known');
  return { exitCode: ending ?? undefined, stdout: stdout.after, stderr: stderr.after };
}

/** Answers sudo, once, and hands over the script when the shell is there. What it answers is why it has to end. */
function speaker(
  channel: ClientChannel,
  options: Conversation,
): (stdout: Capture, stderr: Capture) => Error | undefined {
  let handedOver = false;
  let answered = false;
  return (stdout, stderr) => {
    if (handedOver) return undefined;
    if (stdout.ready && stderr.ready) {
      handedOver = true;
      channel.end(scriptAndInput(options.script, options.input));
      return undefined;
    }
    const asked = stderr.before.split(PASSWORD_PROMPT).length - 1;
    if (asked > 1) return sudoRefused(options, 'the password is not accepted');
    if (asked === 1 && !answered) {
      answered = true;
      channel.write(`${options.sudoPassword}\n`);
    }
    return undefined;
  };
}

function overflow(options: SessionOptions, outputs: readonly Capture[]): Error | undefined {
  if (!outputs.some((output) => output.overflowed)) return undefined;
  return new TransientError(
    `${options.place.name}: a script printed more than ${options.maxOutputBytes} bytes`,
  );
}

/** The last line on standard error is sudo's, or the login shell's: the script was not sent yet. */
function neverStarted(options: Conversation, ending: Ending, stderr: Capture): Error {
  if (typeof ending !== 'number') return new Error('the connection broke before the script began');
  const said = stderr.before.replaceAll(PASSWORD_PROMPT, '').trim().split('\n').at(-1) ?? '';
  const why = said === '' ? `exit code ${ending}` : oneLine(said);
  if (options.escalation !== 'none') return sudoRefused(options, why);
  const { place, user } = options;
  const message = `${place.name} gives user ${user} no shell (${why}): use another user in ${place.field}.user, or see what its login shell and authorized_keys do`;
  return new TerminalError('CredentialsRefused', message);
}

function sudoRefused(options: Conversation, why: string): TerminalError {
  const { place, user } = options;
  const wayOut =
    options.escalation === 'sudo'
      ? `allow it sudo without a password, or put its password into sudo-password of the Secret of ${place.field}.credentialsRef`
      : `see what "sudo -l" says there, and sudo-password in the Secret of ${place.field}.credentialsRef`;
  return new TerminalError(
    'SudoRefused',
    `${place.name}: user ${user} cannot become root (${why}): ${wayOut}`,
  );
}
