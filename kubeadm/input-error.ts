// SPDX-License-Identifier: Apache-2.0

/**
 * What a person wrote cannot be used. The message is one line that names the field and the way out, and never quotes content
 * that may be secret.
 */
export class InputError extends Error {
  override readonly name = 'InputError';
  /** Path from the object's root, such as `spec.files[2].content`. */
  readonly field: string;

  constructor(field: string, message: string, options: { cause?: unknown } = {}) {
    super(`${field}: ${message}`, options);
    this.field = field;
  }
}
