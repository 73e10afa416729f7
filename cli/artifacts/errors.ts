// SPDX-License-Identifier: Apache-2.0

/** Something that was asked for cannot be had: the message says what, from where, and what to do. No fault of the command line. */
export class ArtifactError extends Error {
  override readonly name = 'ArtifactError';
}

/** The message of any thrown value, with its causes: undici's own say only "fetch failed". */
export function reasonOf(error: unknown): string {
  const parts: string[] = [];
  for (let each = error; each instanceof Error && parts.length < 4; each = each.cause) {
    const text =
      each.message === '' ? String((each as NodeJS.ErrnoException).code ?? each.name) : each.message;
    if (!parts.some((part) => part.includes(text))) parts.push(text);
  }
  return parts.length === 0 ? String(error) : parts.join(': ');
}
