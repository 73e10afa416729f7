// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import type { Condition } from '../../api/meta.ts';
import { nextPatch } from './cluster.ts';
import { complaints } from './diagnosis.ts';
import { createScreen, summary, table } from './screen.ts';
import { type DemoSnapshot, isRunning, type MachineRow } from './snapshot.ts';

const condition = (type: string, status: Condition['status'], message = ''): Condition => ({
  type,
  status,
  reason: 'Because',
  message,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});

const machine = (name: string, more: Partial<MachineRow> = {}): MachineRow => ({
  name,
  controlPlane: false,
  phase: 'Running',
  version: 'v1.36.3',
  zone: 'zone-a',
  node: name,
  deleting: false,
  conditions: [condition('Ready', 'True')],
  ...more,
});

const owner = (replicas: number) => ({
  apiVersion: 'x/v1',
  kind: 'Owner',
  metadata: { name: 'demo' },
  spec: { replicas },
});

const snapshot = (...machines: MachineRow[]): DemoSnapshot => ({
  machines,
  tsMachines: [],
  owners: [],
  controlPlane: owner(1),
  workers: owner(2),
});

describe('isRunning', () => {
  it.each([
    ['running and ready', machine('a'), true],
    ['not ready yet', machine('a', { conditions: [condition('Ready', 'False')] }), false],
    ['running but on its way out', machine('a', { deleting: true }), false],
    ['provisioning', machine('a', { phase: 'Provisioning' }), false],
  ])('%s', (_, row, wanted) => {
    expect(isRunning(row)).toBe(wanted);
  });
});

describe('screen', () => {
  const busy = snapshot(
    machine('cp', { controlPlane: true }),
    machine('a', { phase: 'Pending' }),
    machine('b', { phase: '' }),
  );

  it('sums up what runs and what does not', () => {
    expect(summary(busy)).toBe('control plane 1/1 running, workers 0/2 running; New 1, Pending 1');
    expect(summary(snapshot())).toBe('control plane 0/1 running, workers 0/2 running');
  });

  it('a table never needs more room than there is', () => {
    const many = Array.from({ length: 30 }, (_, index) => machine(`machine-${index}`));
    expect(table(many, 40)).toHaveLength(31);
    expect(table(many, 10)).toHaveLength(10);
    expect(table(many, 10).at(-1)).toContain('and 22 more');
  });

  it('writes a line per change where nobody can redraw', () => {
    const written: string[] = [];
    const screen = createScreen({ write: (text) => written.push(text) }, () => 1000);
    screen.show('create', busy);
    screen.show('create', busy);
    screen.show('create', snapshot(machine('a')));
    expect(written).toHaveLength(2);
    expect(written.join('')).not.toContain('\x1b');
  });

  it('takes back on a terminal exactly what it drew, and nothing that was said', () => {
    const written: string[] = [];
    const screen = createScreen({ isTTY: true, rows: 40, write: (text) => written.push(text) }, () => 1000);
    screen.show('create', busy);
    screen.say('hello');
    screen.show('create', busy);
    const taken = written.filter((text) => text.startsWith('\u001b['));
    expect(taken).toEqual(['\u001b[5A\u001b[J']);
  });
});

describe('diagnosis', () => {
  it.each([
    [
      'the summary tells which conditions are not true, on one line',
      [
        condition('Ready', 'False', '* BootstrapConfigReady: no\n  * NodeHealthy: no'),
        condition('Available', 'False'),
      ],
      ['Machine a: Ready is False, Because: * BootstrapConfigReady: no * NodeHealthy: no'],
    ],
    [
      'available comes after ready',
      [condition('Ready', 'True'), condition('Available', 'Unknown')],
      ['Machine a: Available is Unknown, Because'],
    ],
    [
      'what is on its way out says what it waits for',
      [condition('Ready', 'True'), condition('Deleting', 'True', 'Drain not completed')],
      ['Machine a: Deleting is True, Because: Drain not completed'],
    ],
    ['nothing to say of what is well', [condition('Ready', 'True'), condition('Deleting', 'False')], []],
  ])('%s', (_, conditions, wanted) => {
    expect(complaints('Machine a', conditions)).toEqual(wanted);
  });

  it('an object without conditions is told as such', () => {
    expect(complaints('TSMachine a', [])).toEqual(['TSMachine a: has no conditions yet']);
  });
});

it('nextPatch', () => expect(nextPatch('v1.36.9')).toBe('v1.36.10'));
