// SPDX-License-Identifier: Apache-2.0

/**
 * Bootstrap data that this backend cannot act on, found before the host is touched. `field` is the path in the document, such as
 * `users[0].ssh_import_id`; the message begins with it, says the way out and holds nothing of the document's values.
 */
export class InterpretError extends Error {
  override readonly name = 'InterpretError';
  readonly field: string;

  constructor(field: string, message: string, options: { cause?: unknown } = {}) {
    super(field === '' ? message : `${field}: ${message}`, options);
    this.field = field;
  }
}
