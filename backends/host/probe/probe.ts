// SPDX-License-Identifier: Apache-2.0
import type { Ctx } from '../../../runtime/context.ts';
import { TransientError } from '../../../runtime/errors.ts';
import type { HostReport } from '../../host-driver.ts';
import type { RemoteHost } from '../ssh/remote-host.ts';
import { clockSkewSeconds } from './clock-skew.ts';
import { probeLines } from './lines.ts';
import { parseFacts } from './parse-facts.ts';
import { parseOccupants, parseOwner } from './parse-occupants.ts';
import { parsePreparation } from './preparation.ts';
import { END, PROBE_SCRIPT } from './script.ts';

/**
 * Looks at a host: one run, nothing is changed. TransientError when the answer is not whole: half an answer must not make a dirty host
 * look clean.
 */
export async function probeHost(ctx: Ctx, remote: RemoteHost): Promise<HostReport> {
  const startMs = ctx.clock.now().getTime();
  const { exitCode, stdout } = await remote.run(ctx, PROBE_SCRIPT);
  const endMs = ctx.clock.now().getTime();
  if (exitCode !== 0 || !stdout.endsWith(`${END}\n`))
    throw new TransientError(
      `looking at the host: ${exitCode === undefined ? 'a signal ended it' : `it ended early, with exit code ${exitCode}`}`,
    );
  const lines = probeLines(stdout);
  const owner = parseOwner(lines);
  const facts = parseFacts(lines, clockSkewSeconds(Number(lines.first('clock')), startMs, endMs));
  const preparation = parsePreparation(lines, facts);
  return {
    facts,
    occupants: parseOccupants(lines),
    ...(owner === undefined ? {} : { owner }),
    ...(preparation === undefined ? {} : { preparation }),
    seenKeys: remote.seenKeys,
  };
}
