// SPDX-License-Identifier: Apache-2.0
// Which account an access key works in: a role that was assumed may be of another one.
import type { Rule } from './rule.ts';
import { find, parseXML, textAt } from './xml.ts';

/** Moto's account for keys that it does not know. */
export const DEFAULT_ACCOUNT = '123456789012';

export interface Accounts extends Rule {
  of(accessKeyID: string): string;
}

/** Learns from the answers of AssumeRole. */
export function accounts(): Accounts {
  const known = new Map<string, string>();
  return {
    actions: ['sts.AssumeRole', 'sts.AssumeRoleWithWebIdentity'],
    of: (accessKeyID) => known.get(accessKeyID) ?? DEFAULT_ACCOUNT,
    async handle(exchange, next) {
      const answer = await next(exchange.request);
      if (answer.status >= 400) return answer;
      const [result] = parseXML(answer.body.toString('utf8')).children;
      const account = textAt(find(result, 'AssumedRoleUser'), 'Arn').split(':')[4];
      if (account) known.set(textAt(result, 'Credentials', 'AccessKeyId'), account);
      return answer;
    },
  };
}
