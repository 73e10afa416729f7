// SPDX-License-Identifier: Apache-2.0

/** The bootstrap data Secret's two keys, decoded (IM-9). Never logged. */
export interface DecodedBootstrapData {
  readonly format: 'cloud-config' | 'ignition';
  readonly value: Buffer;
}

/**
 * Reads the `data` of a bootstrap data Secret; the payload is passed on unmodified (IM-9). A string says what is wrong with it, as the
 * rest of a sentence that begins with the Secret's name, and nothing of its content.
 */
export function bootstrapDataOf(data: Readonly<Record<string, string>>): DecodedBootstrapData | string {
  const value = Buffer.from(data['value'] ?? '', 'base64');
  const format = Buffer.from(data['format'] ?? '', 'base64').toString('utf8') || 'cloud-config';
  if (value.length === 0) return 'has nothing under its key "value"';
  if (format !== 'cloud-config' && format !== 'ignition') {
    return 'has a format under its key "format" that is neither cloud-config nor ignition';
  }
  return { format, value };
}
