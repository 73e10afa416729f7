// SPDX-License-Identifier: Apache-2.0
// What the rest of backends/aws sees of AWS: one session for each identity and region.
import type * as AutoScaling from '@aws-sdk/client-auto-scaling';
import type * as EC2 from '@aws-sdk/client-ec2';
import type * as ELB from '@aws-sdk/client-elastic-load-balancing-v2';
import type * as Secrets from '@aws-sdk/client-secrets-manager';
import type * as SQS from '@aws-sdk/client-sqs';
import type * as SSM from '@aws-sdk/client-ssm';
import type { SmithyResolvedConfiguration } from '@smithy/core/client';
import type { Command, HttpHandlerOptions, MetadataBearer } from '@smithy/types';
import type { Ctx } from '../../../runtime/context.ts';
import { TerminalError } from '../../../runtime/errors.ts';

/** `send` of an SDK client, bounded by the call's own signal: command in, answer out. */
export type Send<In extends object, Out extends MetadataBearer, Options> = <I extends In, O extends Out>(
  ctx: Ctx,
  command: Command<In, I, Out, O, SmithyResolvedConfiguration<Options>>,
) => Promise<O>;

/**
 * Calls to one region as one identity. Every call is counted, waits for its turn in the budget of its account, and is never repeated
 * by the SDK itself. It rejects with TransientError (throttled, 5xx, connection, credentials that are being renewed: nothing is known
 * of what was done; or {@link import('./reach.ts').NotSentError}, while nothing there answers) or with {@link AWSRefusal} (a definite
 * answer: nothing was done).
 */
export interface AWSSession {
  /** Equal for sessions of the same account and region, whoever they are: what is observed, and the budget, are shared by it. */
  readonly account: string;
  readonly region: string;
  readonly ec2: Send<EC2.ServiceInputTypes, EC2.ServiceOutputTypes, HttpHandlerOptions>;
  readonly elb: Send<ELB.ServiceInputTypes, ELB.ServiceOutputTypes, HttpHandlerOptions>;
  readonly autoScaling: Send<
    AutoScaling.ServiceInputTypes,
    AutoScaling.ServiceOutputTypes,
    HttpHandlerOptions
  >;
  readonly secrets: Send<Secrets.ServiceInputTypes, Secrets.ServiceOutputTypes, HttpHandlerOptions>;
  readonly parameters: Send<SSM.ServiceInputTypes, SSM.ServiceOutputTypes, HttpHandlerOptions>;
  readonly queues: Send<SQS.ServiceInputTypes, SQS.ServiceOutputTypes, HttpHandlerOptions>;
}

/** Opens sessions, and keeps them until the identity changes. */
export interface AWSSessions {
  /** Throws what {@link import('../../cloud-identities.ts').CloudIdentities} throws, TerminalError(RegionInvalid | CloudAccessDenied), or TransientError. */
  open(
    ctx: Ctx,
    who: { readonly namespace: string; readonly identity: string; readonly region: string },
  ): Promise<AWSSession>;
  /**
   * One for each account and region to make calls of this action with: the one opened last of those which AWS has not denied it, and
   * otherwise the one that was denied it longest ago. What was not opened for an hour does not count: its identity may be gone.
   */
  all(action: string): readonly AWSSession[];
  close(): void;
}

/** AWS has answered that it will not: nothing was done. `code` is AWS' own, such as InvalidSubnetID.NotFound. */
export class AWSRefusal extends TerminalError {
  readonly code: string;
  /** The action, such as RunInstances. */
  readonly action: string;

  constructor(options: {
    readonly reason: string;
    readonly action: string;
    readonly code: string;
    readonly message: string;
    readonly cause?: unknown;
  }) {
    super(options.reason, options.message, { cause: options.cause });
    this.code = options.code;
    this.action = options.action;
  }
}

/** Whether AWS has refused with one of these codes; a code that ends in a dot matches all that begin with it. */
export function isRefused(error: unknown, ...codes: readonly string[]): error is AWSRefusal {
  if (!(error instanceof AWSRefusal)) return false;
  return codes.some((code) => (code.endsWith('.') ? error.code.startsWith(code) : error.code === code));
}
