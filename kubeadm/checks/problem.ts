// SPDX-License-Identifier: Apache-2.0
// Something in the input with which the machine could not come up. Checks answer all that they find, so that nobody mends one thing
// after the other.

/** What is wrong, and the way out. Neither field nor message quotes a value, which may be secret. */
export interface Problem {
  /** Where it stands, such as `spec.files[2].content`, or `Cluster spec.clusterNetwork.pods.cidrBlocks`. */
  readonly field: string;
  /** Goes on from the field, as in "must be an absolute path". */
  readonly message: string;
}

/** What is wrong with a value, to go on from the field's name; undefined when nothing is. */
export type Rule = (text: string) => string | undefined;

/**
 * Whether the text is read as it stands. Jinja, the shell and people with sed put something else in the place of what has one of these
 * signs, and what that will be is not known here.
 */
export function isLiteral(text: string): boolean {
  return !/[{}$@%<>`]|__/.test(text);
}

/** The value against the rule; what is unset, empty or not literal has no problem. */
export function check(field: string, text: string | undefined, rule: Rule): Problem[] {
  if (text === undefined || text === '' || !isLiteral(text)) return [];
  const message = rule(text);
  return message === undefined ? [] : [{ field, message }];
}

/** Each item against the rule. */
export function checkEach(field: string, texts: readonly string[] | undefined, rule: Rule): Problem[] {
  return (texts ?? []).flatMap((text, index) => check(`${field}[${index}]`, text, rule));
}
