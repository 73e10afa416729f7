// SPDX-License-Identifier: Apache-2.0
// One call to AWS: its turn, its count, and what its end means.
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { counter, gauge, histogram, type Metrics } from '../../../runtime/metrics.ts';
import { CallBudget, type Settle, type Verdict } from './budget.ts';
import { classify, type Failure, NO_ANSWER } from './classify.ts';
import { timeoutOf } from './clients.ts';
import type { Credentials } from './credentials.ts';
import { bucketOf, type Service } from './limits.ts';
import { type Attempt, Reach } from './reach.ts';

/** Who calls, and out of whose budget. */
export interface Caller {
  readonly account: string;
  readonly region: string;
  /** Name of the TSClusterIdentity. */
  readonly identity: string;
  /** Callers with the same name share one turn: a namespace. */
  readonly flow: string;
  readonly credentials: Credentials;
}

/** What is called. */
export interface Call<T> {
  readonly service: Service;
  /** Such as RunInstances. */
  readonly action: string;
  readonly send: (options: {
    readonly abortSignal: AbortSignal;
    readonly requestTimeout: number;
  }) => Promise<T>;
}

export interface CallsDeps {
  readonly clock: Clock;
  readonly metrics: Metrics;
  /** Gives 0 to 1. */
  readonly random: () => number;
}

interface BudgetLabels {
  readonly account: string;
  readonly region: string;
  readonly bucket: string;
}

/** A call whose turn it is. */
interface Sent {
  readonly caller: Caller;
  readonly generation: number;
  readonly attempt: Attempt;
  readonly settle: Settle;
}

/** Makes calls, and keeps the budgets of all accounts. */
export class Calls {
  readonly #deps: CallsDeps;
  readonly #reach: Reach;
  readonly #budgets = new Map<string, { readonly labels: BudgetLabels; readonly budget: CallBudget }>();
  readonly #metrics: ReturnType<typeof callMetrics>;

  constructor(deps: CallsDeps) {
    this.#deps = deps;
    this.#reach = new Reach(deps);
    this.#metrics = callMetrics(deps.metrics);
    registerBudgetGauge(deps.metrics, () => this.#budgets.values());
  }

  /** Rejects as {@link import('./session.ts').AWSSession} says. */
  async call<T>(ctx: Ctx, caller: Caller, call: Call<T>): Promise<T> {
    const { generation } = await caller.credentials.get(ctx);
    const { account, region } = caller;
    const { service, action } = call;
    // Before the wait for a turn, which would hold up as well.
    const attempt = this.#reach.attempt({ account, region, service, action });
    try {
      const settle = await this.#turn(ctx, caller, call);
      return await this.#send(ctx, call, { caller, generation, attempt, settle });
    } finally {
      attempt.end();
    }
  }

  async #send<T>(ctx: Ctx, call: Call<T>, { caller, generation, attempt, settle }: Sent): Promise<T> {
    const { clock } = this.#deps;
    const { action } = call;
    const sentMs = clock.now().getTime();
    try {
      const answer = await call.send({ abortSignal: ctx.signal, requestTimeout: timeoutOf(action) });
      this.#metrics.requests.inc({ action, code: 'OK' });
      caller.credentials.accepted(generation);
      settle('accepted');
      attempt.answered();
      return answer;
    } catch (error) {
      const failure = classify(error, { action, identity: caller.identity });
      this.#metrics.requests.inc({ action, code: failure.code });
      settle(verdictOf(failure));
      if (failure.code !== NO_ANSWER) attempt.answered();
      else attempt.unanswered(ctx.signal.aborted ? undefined : clock.now().getTime() - sentMs);
      throw afterwards(caller, generation, failure);
    }
  }

  async #turn(ctx: Ctx, caller: Caller, call: Call<unknown>): Promise<Settle> {
    const { clock } = this.#deps;
    const askedMs = clock.now().getTime();
    const settle = await this.#budgetOf(caller, call).turn(ctx, caller.flow);
    this.#metrics.waits.observe(Math.max(0, clock.now().getTime() - askedMs) / 1_000);
    return settle;
  }

  #budgetOf({ account, region }: Caller, { service, action }: Call<unknown>): CallBudget {
    const { name, limits } = bucketOf(service, action);
    const key = `${account} ${region} ${name}`;
    const known = this.#budgets.get(key);
    if (known !== undefined) return known.budget;
    for (const [other, { budget }] of this.#budgets) if (budget.isIdle()) this.#budgets.delete(other);
    const { clock, random } = this.#deps;
    const budget = new CallBudget({ clock, name, limits, random });
    this.#budgets.set(key, { labels: { account, region, bucket: name }, budget });
    return budget;
  }
}

function callMetrics(metrics: Metrics) {
  const requests = counter(metrics, {
    name: 'ts_provider_aws_requests_total',
    help: 'Calls to AWS by action and by the code of the answer: OK, the code of AWS, or Network where there was none.',
    labelNames: ['action', 'code'],
  });
  const waits = histogram(metrics, {
    name: 'ts_provider_aws_budget_wait_seconds',
    help: 'How long calls to AWS waited for their turn in the budget of the account.',
  });
  return { requests, waits };
}

function registerBudgetGauge(
  metrics: Metrics,
  budgets: () => Iterable<{ readonly labels: BudgetLabels; readonly budget: CallBudget }>,
): void {
  const definition = {
    name: 'ts_provider_aws_budget_tokens',
    help: 'Calls that could be made to AWS at once, as far as is known: the budget that is left.',
    labelNames: ['account', 'region', 'bucket'] as const,
  };
  gauge(metrics, definition, (tokens) => {
    tokens.reset();
    for (const { labels, budget } of budgets()) tokens.set({ ...labels }, budget.left());
  });
}

/** A refusal is an answer that was let through; of a call without one nothing is known. */
function verdictOf({ kind }: Failure): Verdict {
  if (kind === 'throttled') return 'throttled';
  return kind === 'transient' ? 'unknown' : 'accepted';
}

/** The error of the call, after the credentials have heard of it. */
function afterwards(caller: Caller, generation: number, failure: Failure): Error {
  const { kind, error } = failure;
  const { credentials, identity, region } = caller;
  if (kind === 'refused') credentials.accepted(generation);
  // It may be the clock, which the SDK corrects by the answer: never the last word on the credentials.
  if (kind === 'expired') credentials.refused(generation);
  if (kind !== 'credentials' || credentials.refused(generation) === 'renewed') return error;
  return new TerminalError(
    Reason.CloudAccessDenied,
    `AWS does not take the credentials of TSClusterIdentity "${identity}" in region ${region}: ${error.message}; ` +
      'correct the Secret or the role of the identity',
  );
}
