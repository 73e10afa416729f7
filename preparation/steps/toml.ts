// SPDX-License-Identifier: Apache-2.0

/** A basic string of TOML, whatever is in it. */
export function tomlString(text: string): string {
  return JSON.stringify(text).replaceAll('\u007f', '\\u007f');
}
