// SPDX-License-Identifier: Apache-2.0

/** A template that cannot be rendered: what is wrong, in words that quote nothing of the template but known names. */
export class TemplateError extends Error {
  override readonly name = 'TemplateError';
  /** From 1. */
  readonly line: number;

  constructor(line: number, message: string) {
    super(message);
    this.line = line;
  }
}
