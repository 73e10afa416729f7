// SPDX-License-Identifier: Apache-2.0

/** Smaller differences are left out, and larger ones rounded: a status must not change because of them. */
const LEAST_SECONDS = 2;
const STEP_SECONDS = 5;

/**
 * The host's clock minus ours, in seconds. `hostSeconds` was read, in whole seconds, at some moment between `startMs` and `endMs` of
 * our clock: only what lies outside of these is a difference, so a slow line is none.
 */
export function clockSkewSeconds(hostSeconds: number, startMs: number, endMs: number): number {
  if (!Number.isFinite(hostSeconds)) return 0;
  const ahead = hostSeconds - endMs / 1000;
  const behind = startMs / 1000 - (hostSeconds + 1);
  const seconds = Math.max(ahead, behind, 0);
  if (seconds < LEAST_SECONDS) return 0;
  const rounded = Math.max(1, Math.round(seconds / STEP_SECONDS)) * STEP_SECONDS;
  return ahead > behind ? rounded : -rounded;
}
