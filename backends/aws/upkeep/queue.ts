// SPDX-License-Identifier: Apache-2.0
// Reads one queue, in rounds: a held request, and the deletion of what it brought.
import {
  DeleteMessageBatchCommand,
  GetQueueUrlCommand,
  type Message,
  ReceiveMessageCommand,
} from '@aws-sdk/client-sqs';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { errorMessage, TransientError } from '../../../runtime/errors.ts';
import { counter, gauge, type Metrics } from '../../../runtime/metrics.ts';
import type { AWSSession } from '../session/session.ts';
import { type AWSEvent, parseEvent } from './event.ts';

/** A queue, and as whom it is read. */
export interface NamedQueue {
  readonly name: string;
  /** Asked before each request: who may be it, and with which keys, can change. */
  readonly open: (ctx: Ctx) => Promise<AWSSession>;
}

/** What became of an event. `foreign`: it is of no instance of ours. */
export type Heard = 'used' | 'foreign';

export interface QueueOptions {
  readonly clock: Clock;
  readonly metrics: QueueMetrics;
  /** Called once for each event, before its message is deleted. */
  readonly hear: (session: AWSSession, event: AWSEvent) => Heard;
}

/** The longest that SQS holds a request: one call in this time for a queue that is empty. */
const HOLD_SECONDS = 20;
/** SQS takes no more. */
const MESSAGES = 10;
/** One round: open, hold, delete. A request ends by itself after 40 s. */
const ROUND_MS = 90_000;
const FIRST_PAUSE_MS = 30_000;
const LONGEST_PAUSE_MS = 5 * 60_000;

/** Reads one queue. At most one request is under way. */
export class QueueReader {
  readonly #options: QueueOptions;
  readonly #labels: { readonly account: string; readonly region: string; readonly queue: string };
  #open: NamedQueue['open'];
  #url: string | undefined;
  /** Of rounds, one after the other. */
  #failures = 0;
  #notBeforeMs = 0;
  #trouble: string | undefined;
  /** Of the round that runs. */
  #round: AbortController | undefined;
  #isClosed = false;

  constructor(options: QueueOptions, { account, region }: AWSSession, queue: NamedQueue) {
    this.#options = options;
    this.#labels = { account, region, queue: queue.name };
    this.#open = queue.open;
  }

  /** Who came last is asked from now on: his facts are the newest. */
  readAs(open: NamedQueue['open']): void {
    this.#open = open;
  }

  /** Reads until there is nothing more, unless it is read already or rests after a failure. Never rejects. */
  async read(ctx: Ctx): Promise<void> {
    if (this.#round !== undefined || this.#isResting()) return;
    // As long as there are messages, the next ones are asked for at once.
    let hadMessages = true;
    while (hadMessages && !this.#isClosed) hadMessages = await this.#tried(ctx);
  }

  /** Ends the request that is held, at once and for good. */
  close(): void {
    this.#isClosed = true;
    this.#options.metrics.up.remove(this.#labels);
    this.#round?.abort(new TransientError('the queue is not needed any more'));
  }

  /** Not when the clock was set back by more than any pause. */
  #isResting(): boolean {
    const leftMs = this.#notBeforeMs - this.#options.clock.now().getTime();
    return leftMs > 0 && leftMs <= LONGEST_PAUSE_MS;
  }

  /** Whether there were messages. */
  async #tried(ctx: Ctx): Promise<boolean> {
    const round = (this.#round = new AbortController());
    const end = () => round.abort(new TransientError('the queue has not answered in time'));
    const cancel = this.#options.clock.schedule(end, ROUND_MS);
    try {
      // Not the signal of the tick, which ends before.
      const messages = await this.#receive({ ...ctx, signal: round.signal });
      this.#succeeded(ctx);
      return messages > 0;
    } catch (error) {
      this.#failed(ctx, error);
      return false;
    } finally {
      cancel();
      this.#round = undefined;
    }
  }

  /** How many messages there were. Rejects with what the session rejects with. */
  async #receive(ctx: Ctx): Promise<number> {
    const session = await this.#open(ctx);
    const QueueUrl = (this.#url ??= await this.#look(ctx, session));
    const asked = { QueueUrl, MaxNumberOfMessages: MESSAGES, WaitTimeSeconds: HOLD_SECONDS };
    const { Messages = [] } = await session.queues(ctx, new ReceiveMessageCommand(asked));
    for (const message of Messages) this.#hear(ctx, session, message);
    if (Messages.length > 0) await remove(ctx, session, QueueUrl, Messages);
    return Messages.length;
  }

  async #look(ctx: Ctx, session: AWSSession): Promise<string | undefined> {
    const { queue } = this.#labels;
    return (await session.queues(ctx, new GetQueueUrlCommand({ QueueName: queue }))).QueueUrl;
  }

  #hear(ctx: Ctx, session: AWSSession, { Body = '', MessageId }: Message): void {
    const { hear, metrics } = this.#options;
    const event = parseEvent(Body, session);
    const result = event === undefined ? 'unknown' : hear(session, event);
    metrics.messages.inc({ kind: event?.kind ?? 'unknown', result });
    // Not what is in it, which may be anything.
    if (result !== 'used') ctx.log.debug({ messageID: MessageId, result }, 'A message concerns nobody');
  }

  #succeeded(ctx: Ctx): void {
    if (this.#isClosed) return;
    if (this.#trouble !== undefined) ctx.log.info(this.#labels, 'The queue of interruptions is read again');
    this.#trouble = undefined;
    this.#failures = 0;
    this.#options.metrics.up.set(this.#labels, 1);
  }

  #failed(ctx: Ctx, error: unknown): void {
    if (this.#isClosed) return;
    const { clock, metrics } = this.#options;
    const pauseMs = Math.min(FIRST_PAUSE_MS * 2 ** this.#failures, LONGEST_PAUSE_MS);
    this.#failures++;
    this.#notBeforeMs = clock.now().getTime() + pauseMs;
    // It may have been made anew.
    this.#url = undefined;
    metrics.up.set(this.#labels, 0);
    const message = errorMessage(error);
    if (message === this.#trouble) return;
    this.#trouble = message;
    const facts = { ...this.#labels, message };
    ctx.log.warn(facts, 'The queue of interruptions cannot be read; trying again, and asking EC2 meanwhile');
  }
}

/** Only when they were heard: a message that was received and not deleted comes again. */
async function remove(
  ctx: Ctx,
  session: AWSSession,
  QueueUrl: string | undefined,
  messages: readonly Message[],
): Promise<void> {
  const Entries = messages.map(({ ReceiptHandle }, index) => ({ Id: String(index), ReceiptHandle }));
  const { Failed = [] } = await session.queues(ctx, new DeleteMessageBatchCommand({ QueueUrl, Entries }));
  const [first] = Failed;
  // They come again, in a queue without visibility timeout at once: a pause is due.
  if (first !== undefined)
    throw new TransientError(`DeleteMessageBatch: messages could not be deleted (${first.Code})`);
}

export type QueueMetrics = ReturnType<typeof queueMetrics>;

export function queueMetrics(metrics: Metrics) {
  const up = gauge(metrics, {
    name: 'ts_provider_aws_interruption_queue_up',
    help: 'Whether the last request to a queue of interruptions was answered: 1 or 0.',
    labelNames: ['account', 'region', 'queue'],
  });
  const messages = counter(metrics, {
    name: 'ts_provider_aws_interruption_messages_total',
    help: 'Messages out of queues of interruptions by kind (spot, rebalance, state, health, unknown) and result (used, foreign: of no instance of ours, unknown).',
    labelNames: ['kind', 'result'],
  });
  return { up, messages };
}
