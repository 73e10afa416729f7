// SPDX-License-Identifier: Apache-2.0
// A rule stands between the client and moto for some actions, and may answer, change the request or change the answer.
import type { Behaviour } from './behaviour.ts';
import type { Answer, APIRequest } from './protocol.ts';
import type { Question } from './upstream.ts';
import type { Element } from './xml.ts';

/** One call on its way. */
export interface Exchange {
  readonly request: APIRequest;
  /** The account that the access key belongs to. */
  readonly account: string;
  readonly behaviour: Behaviour;
  /** Milliseconds. */
  now(): number;
  /** Asks moto in the name of the caller; not counted, no rule applies. Throws the APIError that it answers. */
  ask(question: Question): Promise<Element>;
}

export type Next = (request: APIRequest) => Promise<Answer>;

export interface Rule {
  /** `ec2.RunInstances`. */
  readonly actions: readonly string[];
  /** Not asked: always. Answers that no rule touches are streamed. */
  applies?(exchange: Exchange): boolean;
  /** Throws an APIError to answer it. */
  handle(exchange: Exchange, next: Next): Promise<Answer>;
}
