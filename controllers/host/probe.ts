// SPDX-License-Identifier: Apache-2.0
// A look at a host, and what of it is written down. Only what changed makes a difference: an idle fleet writes nothing.
import { Reason } from '../../api/conditions.ts';
import { CLEAN_ANNOTATION } from '../../api/labels.ts';
import type { TSHost, TSHostStatus } from '../../api/tshost.ts';
import type { Drift, HostReport, Occupant } from '../../backends/host-driver.ts';
import type { Ctx } from '../../runtime/context.ts';
import { pinKeys } from './host-keys.ts';
import type { HostDeps, HostScope, Transition } from './scope.ts';

/** As many as the schema takes. */
const MAX_OCCUPANTS = 50;
const MAX_OCCUPANT_LENGTH = 512;

/** Clocks of hosts and ours always differ a little, and never by the same. */
const SKEW_SECONDS = 5;

/** Looks at the host now, writes its facts to our copy and pins host keys that were trusted on first use. */
export async function probeHost(
  ctx: Ctx,
  scope: HostScope,
  { driver }: Pick<HostDeps, 'driver'>,
): Promise<HostReport> {
  const report = await driver.probe(ctx, scope.access);
  scope.report = report;
  recordFacts((scope.object.status ??= {}), report);
  pinKeys(scope.object, report.seenKeys);
  return report;
}

/** What occupies the host, for status.occupants. Not for hosts in use: there it changes all the time, and is no news. */
export function recordOccupants(object: TSHost, occupants: readonly Occupant[]): void {
  const status = (object.status ??= {});
  delete status.occupants;
  if (occupants.length === 0) return;
  const lines = occupants.map(({ what }) => what.slice(0, MAX_OCCUPANT_LENGTH));
  status.occupants = [...new Set(lines)].toSorted().slice(0, MAX_OCCUPANTS);
}

/** What to do with a free host on which something was found. */
const ADVICE = `set the annotation ${CLEAN_ANNOTATION} to have it cleaned, or spec.adopt if its Node is to stay`;

/** What is wrong with a host on which something was found, for people. */
export function dirtyError(
  occupants: readonly Occupant[],
  advice: string = ADVICE,
): NonNullable<Transition['error']> {
  const sorted = occupants.toSorted((a, b) => Number(b.running) - Number(a.running));
  const first = sorted.slice(0, 3).map(({ what }) => what);
  const more = occupants.length > first.length ? ` and ${occupants.length - first.length} more` : '';
  return {
    reason: Reason.HostDirty,
    message: `Something of a cluster is on the host: ${first.join(', ')}${more}; ${advice}`,
  };
}

/** One that never came to its end is none. */
function recordPreparation(status: TSHostStatus, { preparation }: HostReport): void {
  delete status.preparation;
  if (preparation === undefined || preparation.version === '') return;
  const { hash, version, drifted, unverified = [] } = preparation;
  const drift = [...new Set(drifted.map(driftLine))].toSorted().slice(0, MAX_OCCUPANTS);
  const unverifiedRegistries = unverified.map((one) => one.slice(0, MAX_OCCUPANT_LENGTH));
  status.preparation = {
    ...{ hash, version },
    ...(unverifiedRegistries.length > 0 && { unverifiedRegistries }),
    ...(drift.length > 0 && { drift }),
  };
}

/** As status.preparation.drift has it. */
export function driftLine({ step, impact, path }: Drift): string {
  return `${step} (${impact}): ${path}`.slice(0, MAX_OCCUPANT_LENGTH);
}

function recordFacts(status: TSHostStatus, report: HostReport): void {
  const { facts } = report;
  const { hostname, hardware, operatingSystem, software, bootID } = facts;
  recordPreparation(status, report);
  Object.assign(status, { hostname, hardware, operatingSystem, software, bootID });
  const seconds = Math.round(facts.clockSkewSeconds);
  if (Math.abs(seconds) < SKEW_SECONDS) delete status.clockSkewSeconds;
  else if (Math.abs(seconds - (status.clockSkewSeconds ?? 0)) >= SKEW_SECONDS)
    status.clockSkewSeconds = seconds;
}
