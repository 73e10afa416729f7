// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from '../../../runtime/context.ts';

/** How a script ended. Output is decoded as UTF-8 and holds nothing that was printed before the script began. */
export interface RunResult {
  /** `undefined` when a signal ended it. */
  readonly exitCode: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunOptions {
  /** The script's standard input; empty when absent. */
  readonly input?: string | Buffer;
  /** 20 s when absent, and never past `ctx.signal`. The host itself ends the script soon after, also when the link is cut. */
  readonly timeoutMs?: number;
  /** Of standard output and of standard error each; 1 MiB when absent. A script that prints more fails with TransientError. */
  readonly maxOutputBytes?: number;
}

/** A host that scripts run on. Connecting, keeping and sharing the connection is its own business. */
export interface RemoteHost {
  /**
   * Runs a POSIX sh script as root, through sudo where the user is not root, in `/` with umask 022 and LC_ALL=C. Script and input travel
   * through standard input, never in argv, and nothing of them is in an error. A script that ends with a code is an answer, not an
   * error. TransientError: nobody knows whether it ran, or ended. To a script a cut link looks like the end of its input: one that
   * acts on its input compares what it got with `$input_bytes`.
   */
  run(ctx: Ctx, script: string, options?: RunOptions): Promise<RunResult>;
  /** Keys that were trusted on first use, `<type> <base64>`, until they are pinned in the access. */
  readonly seenKeys: { readonly host?: string; readonly bastion?: string };
}
