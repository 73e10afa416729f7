// SPDX-License-Identifier: Apache-2.0
// Contents travel inside an Ignition config as data URLs (RFC 2397), percent-encoded as the stock provider does.

/** `data:,…` of text (as UTF-8) or of bytes. Every byte comes back exactly. */
export function dataURL(contents: string | Uint8Array): string {
  return `data:,${typeof contents === 'string' ? escapeText(contents) : escapeBytes(contents)}`;
}

function escapeText(text: string): string {
  return encodeURIComponent(text.toWellFormed());
}

/** Bytes need not be UTF-8, so that encodeURIComponent only takes those that are ASCII. */
function escapeBytes(bytes: Uint8Array): string {
  let escaped = '';
  for (const byte of bytes) {
    escaped += byte < 0x80 ? encodeURIComponent(String.fromCharCode(byte)) : `%${hex(byte)}`;
  }
  return escaped;
}

function hex(byte: number): string {
  return byte.toString(16).toUpperCase().padStart(2, '0');
}
