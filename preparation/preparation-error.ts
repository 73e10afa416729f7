// SPDX-License-Identifier: Apache-2.0

/** What cannot be done, whatever the machine is like. */
export class PreparationError extends Error {
  override readonly name = 'PreparationError';
  /** Field of the spec, such as `registries[0].mirrors`. */
  readonly path: string;

  constructor(path: string, message: string) {
    super(`${path}: ${message}`);
    this.path = path;
  }
}
