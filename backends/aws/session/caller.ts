// SPDX-License-Identifier: Apache-2.0
// One call to AWS: its turn, its count, and what its end means.
import { Reason } from '../../../api/conditions.ts';
import type { Clock } from '../../../runtime/clock.ts';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';
import { counter, gauge, histogram, type Metrics } from '../../../runtime/metrics.ts';
import { type CallBudget, createBudget } from './budget.ts';
import { classify, type Failure } from './classify.ts';
import type { Credentials } from './credentials.ts';
import { bucketOf, type Service } from './limits.ts';

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

export interface Call<T> {
  readonly service: Service;
  /** Such as RunInstances. */
  readonly action: string;
  readonly send: (options: { readonly abortSignal: AbortSignal }) => Promise<T>;
}

/** Makes calls. Rejects as {@link import('./session.ts').AWSSession} says. */
export interface Calls {
  call<T>(ctx: Ctx, caller: Caller, call: Call<T>): Promise<T>;
}

/** Budgets are kept here, for all who call. */
export function createCalls(deps: {
  readonly clock: Clock;
  readonly metrics: Metrics;
  readonly random: () => number;
}): Calls {
  const { clock } = deps;
  const budgets = new Map<string, { readonly labels: BudgetLabels; readonly budget: CallBudget }>();
  const count = counter(deps.metrics, {
    name: 'ts_provider_aws_requests_total',
    help: 'Calls to AWS by action and by the code of the answer: OK, the code of AWS, or Network.',
    labelNames: ['action', 'code'],
  });
  const waits = histogram(deps.metrics, {
    name: 'ts_provider_aws_budget_wait_seconds',
    help: 'How long calls to AWS waited for their turn in the budget of the account.',
  });
  gauge(
    deps.metrics,
    {
      name: 'ts_provider_aws_budget_tokens',
      help: 'Calls to AWS that could be made at once without being throttled, as far as is known.',
      labelNames: ['account', 'region', 'bucket'],
    },
    (tokens) => {
      tokens.reset();
      for (const { labels, budget } of budgets.values()) tokens.set({ ...labels }, budget.left());
    },
  );

  return {
    async call(ctx, caller, call) {
      const { generation } = await caller.credentials.get(ctx);
      const settle = await turn(ctx, caller, call);
      try {
        const answer = await call.send({ abortSignal: ctx.signal });
        count.inc({ action: call.action, code: 'OK' });
        caller.credentials.accepted(generation);
        settle('accepted');
        return answer;
      } catch (error) {
        const failure = classify(error, { action: call.action, identity: caller.identity });
        count.inc({ action: call.action, code: failure.code });
        settle(verdictOf(failure));
        throw afterwards(caller, generation, failure);
      }
    },
  };

  async function turn(ctx: Ctx, caller: Caller, call: Call<unknown>) {
    const askedMs = clock.now().getTime();
    const settle = await budgetFor(caller, call).turn(ctx, caller.flow);
    waits.observe(Math.max(0, clock.now().getTime() - askedMs) / 1_000);
    return settle;
  }

  function budgetFor({ account, region }: Caller, { service, action }: Call<unknown>): CallBudget {
    const bucket = bucketOf(service, action);
    const key = `${account} ${region} ${bucket.name}`;
    const known = budgets.get(key);
    if (known !== undefined) return known.budget;
    for (const [other, { budget }] of budgets) if (budget.isIdle()) budgets.delete(other);
    const budget = createBudget({ clock, name: bucket.name, limits: bucket.limits, random: deps.random });
    budgets.set(key, { labels: { account, region, bucket: bucket.name }, budget });
    return budget;
  }
}

interface BudgetLabels {
  readonly account: string;
  readonly region: string;
  readonly bucket: string;
}

/** A refusal is an answer that was let through; of a call without one nothing is known. */
function verdictOf({ kind, code }: Failure): 'accepted' | 'throttled' | 'unknown' {
  if (kind === 'throttled') return 'throttled';
  return kind === 'transient' || code === 'Network' ? 'unknown' : 'accepted';
}

/** The error of the call, after the credentials have heard of it. */
function afterwards(caller: Caller, generation: number, failure: Failure): Error {
  const { kind, code, error } = failure;
  if (kind === 'refused') caller.credentials.accepted(generation);
  // It may be the clock, which the SDK corrects by the answer: never the last word on the credentials.
  if (kind === 'expired') caller.credentials.refused(generation);
  if (kind !== 'credentials' || caller.credentials.refused(generation) === 'renewed') return error;
  const { identity, region } = caller;
  return new TerminalError(
    Reason.CloudAccessDenied,
    `AWS does not take the credentials of TSClusterIdentity "${identity}" in region ${region}: ${error.message} (${code}); ` +
      'correct the Secret or the role of the identity',
  );
}
