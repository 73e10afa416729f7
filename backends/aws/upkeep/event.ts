// SPDX-License-Identifier: Apache-2.0
// What EventBridge puts into a queue, of what we ask it for. Pure.
// Shapes: https://docs.aws.amazon.com/AWSEC2/latest/UserGuide/rebalance-recommendations.html, .../spot-instance-termination-notices.html,
// .../monitoring-instance-state-changes.html, https://docs.aws.amazon.com/health/latest/ug/aws-health-events-eventbridge-schema.html.
import { Reason } from '../../../api/conditions.ts';
import type { UpkeepReport } from '../../backend.ts';

/** What is about to happen to one instance. */
export interface Notice extends Pick<NonNullable<UpkeepReport['interruption']>, 'reason' | 'message'> {
  /** When it happens at the earliest, in ms since 1970; absent: AWS does not say. */
  readonly fromMs?: number;
}

/** One event; times in ms since 1970. */
export type AWSEvent =
  /** `action`: terminate, stop or hibernate, two minutes after `atMs`. */
  | {
      readonly kind: 'spot';
      readonly instanceID: string;
      readonly action: string;
      readonly atMs: number | undefined;
    }
  | { readonly kind: 'rebalance'; readonly instanceID: string; readonly atMs: number | undefined }
  /** `state`: as EC2 calls it. */
  | { readonly kind: 'state'; readonly instanceID: string; readonly state: string }
  /** AWS has planned something, or called it off. */
  | { readonly kind: 'health'; readonly instanceIDs: readonly string[] };

/** From where events are taken. */
export interface Place {
  readonly account: string;
  readonly region: string;
}

/** `undefined`: not JSON, not an event that we know, or one of another place. Whoever writes to the queue may have written anything. */
export function parseEvent(body: string, place: Place): AWSEvent | undefined {
  const event = asObject(parsed(body));
  if (event['account'] !== place.account) return undefined;
  const detail = asObject(event['detail']);
  // Health events may be sent to another region than they are about.
  if (event['source'] === 'aws.health') return healthEvent(event, detail);
  if (event['source'] !== 'aws.ec2' || event['region'] !== place.region) return undefined;
  return instanceEvent(event, detail);
}

function instanceEvent(event: Fields, detail: Fields): AWSEvent | undefined {
  const instanceID = text(detail['instance-id']);
  if (instanceID === '') return undefined;
  const atMs = time(event['time']);
  switch (event['detail-type']) {
    case 'EC2 Spot Instance Interruption Warning':
      return { kind: 'spot', instanceID, action: action(detail['instance-action']), atMs };
    case 'EC2 Instance Rebalance Recommendation':
      return { kind: 'rebalance', instanceID, atMs };
    case 'EC2 Instance State-change Notification':
      return { kind: 'state', instanceID, state: text(detail['state']) };
    default:
      return undefined;
  }
}

function healthEvent(event: Fields, detail: Fields): AWSEvent | undefined {
  if (event['detail-type'] !== 'AWS Health Event' || detail['service'] !== 'EC2') return undefined;
  const entities = Array.isArray(detail['affectedEntities']) ? detail['affectedEntities'] : [];
  const ids = entities.map((entity) => text(asObject(entity)['entityValue']));
  return { kind: 'health', instanceIDs: ids.filter((id) => id.startsWith('i-')) };
}

type Fields = Readonly<Record<string, unknown>>;

function parsed(body: string): unknown {
  try {
    return JSON.parse(body) as unknown;
  } catch {
    return undefined;
  }
}

function asObject(value: unknown): Fields {
  return typeof value === 'object' && value !== null ? (value as Fields) : {};
}

/** Anything longer is none of AWS' words, and would be in a condition. */
const MAX_TEXT = 64;

function text(value: unknown): string {
  return typeof value === 'string' && value.length <= MAX_TEXT ? value : '';
}

const ACTIONS = ['terminate', 'stop', 'hibernate'];

/** Of one that we do not know the worst is taken. */
function action(value: unknown): string {
  return ACTIONS.find((known) => known === value) ?? 'terminate';
}

function time(value: unknown): number | undefined {
  const ms = Date.parse(text(value));
  return Number.isNaN(ms) ? undefined : ms;
}

const TWO_MINUTES_MS = 120_000;

/** `atMs`: when AWS has given notice; `code`: in AWS' words what happens. */
export function spotNotice(
  instanceID: string,
  told: { readonly ends: boolean; readonly atMs: number | undefined; readonly code: string },
): Notice {
  const end = told.atMs === undefined ? '' : `, at about ${iso(told.atMs + TWO_MINUTES_MS)}`;
  const what = told.ends ? 'terminates' : 'stops';
  const message = `EC2 ${what} spot instance ${instanceID}${end}: ${told.code}`;
  return { reason: Reason.SpotInterruption, message };
}

/** AWS says no time, and takes none back. */
export function rebalanceNotice(instanceID: string, atMs: number | undefined): Notice {
  const since = atMs === undefined ? '' : `, since ${iso(atMs)}`;
  const message = `AWS expects to take spot instance ${instanceID} back sooner than others${since}: rebalance recommendation`;
  return { reason: Reason.RebalanceRecommended, message };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}
