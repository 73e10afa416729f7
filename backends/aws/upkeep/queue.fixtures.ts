// SPDX-License-Identifier: Apache-2.0
// A queue of SQS as a session sees it: requests are held, messages stay until they are deleted.
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { AWSSession } from '../session/session.ts';
import { ACCOUNT, REGION } from './event.fixtures.ts';

interface Sent {
  readonly body: string;
  readonly receipt: string;
  isShown: boolean;
}

/** Requests are answered when there are messages, when they are aborted, and by `answerHeld`. */
export class PlayedQueue {
  readonly calls: string[] = [];
  /** What the next requests of an action reject with. */
  readonly failures = new Map<string, Error>();
  /** Instead of deletion. */
  keepsMessages = false;
  readonly #messages: Sent[] = [];
  #held: { readonly answer: () => void; readonly signal: AbortSignal }[] = [];
  #sent = 0;

  get session(): AWSSession {
    const queues = (ctx: Ctx, command: object) => {
      const action = command.constructor.name.replace(/Command$/, '');
      this.calls.push(action);
      const failure = this.failures.get(action);
      if (failure !== undefined) return Promise.reject(failure);
      return this.#answer(
        ctx,
        action,
        (command as { input: { Entries?: { ReceiptHandle: string }[] } }).input,
      );
    };
    return { account: ACCOUNT, region: REGION, queues } as unknown as AWSSession;
  }

  send(...bodies: readonly string[]): void {
    for (const body of bodies) this.#messages.push({ body, receipt: `r-${++this.#sent}`, isShown: false });
    this.answerHeld();
  }

  /** As after 20 seconds. */
  answerHeld(): void {
    for (const { answer } of this.#held.splice(0)) answer();
  }

  /** Requests that wait for messages. */
  get held(): number {
    return this.#held.length;
  }

  /** Messages that are not deleted. */
  get length(): number {
    return this.#messages.length;
  }

  countOf(action: string): number {
    return this.calls.filter((call) => call === action).length;
  }

  async #answer(
    { signal }: Ctx,
    action: string,
    { Entries = [] }: { Entries?: { ReceiptHandle: string }[] },
  ) {
    if (action === 'GetQueueUrl') return { QueueUrl: 'https://queues/1' };
    if (action === 'DeleteMessageBatch')
      return this.#delete(Entries.map(({ ReceiptHandle }) => ReceiptHandle));
    if (this.#messages.every(({ isShown }) => isShown)) await this.#hold(signal);
    const shown = this.#messages.filter(({ isShown }) => !isShown).slice(0, 10);
    for (const message of shown) message.isShown = true;
    return { Messages: shown.map(({ body, receipt }) => ({ Body: body, ReceiptHandle: receipt })) };
  }

  #delete(receipts: readonly string[]) {
    if (this.keepsMessages) return { Failed: [{ Id: '0', Code: 'InternalError', SenderFault: false }] };
    for (const receipt of receipts)
      this.#messages.splice(
        this.#messages.findIndex((message) => message.receipt === receipt),
        1,
      );
    return { Successful: [] };
  }

  #hold(signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const held = { answer: resolve, signal };
      this.#held.push(held);
      signal.addEventListener('abort', () => {
        this.#held = this.#held.filter((one) => one !== held);
        reject(new TransientError('ReceiveMessage: no answer from AWS (AbortError)'));
      });
    });
  }
}
