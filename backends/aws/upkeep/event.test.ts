// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import {
  ACCOUNT,
  healthEvent,
  rebalanceRecommendation,
  REGION,
  spotWarning,
  stateChange,
} from './event.fixtures.ts';
import { type AWSEvent, parseEvent, rebalanceNotice, spotNotice } from './event.ts';

const place = { account: ACCOUNT, region: REGION };
const instanceID = 'i-1234567890abcdef0';
const atMs = Date.UTC(2026, 0, 1);

describe('an event', () => {
  it.each<[string, string, AWSEvent]>([
    ['spot notice', spotWarning(instanceID), { kind: 'spot', instanceID, action: 'terminate', atMs }],
    [
      'spot notice of a stop',
      spotWarning(instanceID, {}, 'stop'),
      { kind: 'spot', instanceID, action: 'stop', atMs },
    ],
    [
      'spot notice with another action',
      spotWarning(instanceID, {}, 'x'.repeat(9)),
      { kind: 'spot', instanceID, action: 'terminate', atMs },
    ],
    [
      'spot notice without a time',
      spotWarning(instanceID, { time: 'soon' }),
      { kind: 'spot', instanceID, action: 'terminate', atMs: undefined },
    ],
    [
      'rebalance recommendation',
      rebalanceRecommendation(instanceID),
      { kind: 'rebalance', instanceID, atMs },
    ],
    [
      'change of state',
      stateChange(instanceID, 'stopping'),
      { kind: 'state', instanceID, state: 'stopping' },
    ],
    ['health event', healthEvent([instanceID]), { kind: 'health', instanceIDs: [instanceID] }],
    [
      'health event that was sent to another region',
      JSON.stringify({ ...(JSON.parse(healthEvent([instanceID])) as object), region: 'us-west-2' }),
      { kind: 'health', instanceIDs: [instanceID] },
    ],
    ['health event of a reservation', healthEvent(['cr-1']), { kind: 'health', instanceIDs: [] }],
  ])('%s is understood', (_name, body, event) => {
    expect(parseEvent(body, place)).toEqual(event);
  });

  it.each<[string, string]>([
    ['nothing', ''],
    ['no JSON', '{"detail-type": "EC2 Spot'],
    ['no object', '"EC2 Spot Instance Interruption Warning"'],
    ['null', 'null'],
    ['a list', '[]'],
    ['of another account', spotWarning(instanceID, { account: '210987654321' })],
    ['of another region', spotWarning(instanceID, { region: 'us-east-1' })],
    ['not sent by EC2', spotWarning(instanceID, { source: 'mine' })],
    ['without detail', spotWarning(instanceID, { detail: null })],
    ['with an id that is no string', spotWarning(instanceID, { detail: { 'instance-id': 7 } })],
    ['with an id that is none', spotWarning('i'.repeat(65))],
    ['of another kind', spotWarning(instanceID, { 'detail-type': 'EBS Volume Notification' })],
    ['of the health of another service', healthEvent([instanceID], { service: 'RDS' })],
    ['wrapped by a topic', JSON.stringify({ Type: 'Notification', Message: spotWarning(instanceID) })],
  ])('%s is not', (_name, body) => {
    expect(parseEvent(body, place)).toBeUndefined();
  });
});

describe('a notice', () => {
  it('says what happens, to which instance, and when', () => {
    expect(spotNotice('i-1', { ends: true, atMs, code: 'terminate' })).toEqual({
      reason: 'SpotInterruption',
      message: 'EC2 terminates spot instance i-1, at about 2026-01-01T00:02:00.000Z: terminate',
    });
    expect(spotNotice('i-1', { ends: false, atMs: undefined, code: 'stop' }).message).toBe(
      'EC2 stops spot instance i-1: stop',
    );
    expect(rebalanceNotice('i-1', atMs)).toEqual({
      reason: 'RebalanceRecommended',
      message:
        'AWS expects to take spot instance i-1 back sooner than others, since 2026-01-01T00:00:00.000Z: rebalance recommendation',
    });
  });
});
