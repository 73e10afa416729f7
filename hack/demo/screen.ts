// SPDX-License-Identifier: Apache-2.0
// Draws progress: a table that redraws itself on a terminal, one line per change elsewhere.
import { type DemoSnapshot, isRunning, type MachineRow } from './snapshot.ts';

export interface Screen {
  /** A line that stays. */
  say(line: string): void;
  /** The present state; what is shown of it depends on where it is shown. */
  show(title: string, snapshot: DemoSnapshot): void;
  /** What was shown last stays, and the next {@link show} begins below it. */
  settle(): void;
}

interface Output {
  readonly isTTY?: boolean;
  readonly rows?: number;
  write(text: string): unknown;
}

/** `now` gives milliseconds; lines begin with the seconds since the screen was made. */
export function createScreen(output: Output = process.stdout, now: () => number = Date.now): Screen {
  const begin = now();
  const stamp = () => `${((now() - begin) / 1000).toFixed(1).padStart(6)}s  `;
  return output.isTTY === true ? redrawing(output, stamp) : appending(output, stamp);
}

function redrawing(output: Output, stamp: () => string): Screen {
  let drawn = 0;
  const clear = () => {
    if (drawn > 0) output.write(`\x1b[${drawn}A\x1b[J`);
    drawn = 0;
  };
  return {
    say(line) {
      clear();
      output.write(`${stamp()}${line}\n`);
    },
    show(title, snapshot) {
      clear();
      const lines = [
        `${stamp()}${title}: ${summary(snapshot)}`,
        ...table(snapshot.machines, (output.rows ?? 24) - 4),
      ];
      output.write(`${lines.join('\n')}\n`);
      drawn = lines.length;
    },
    settle() {
      drawn = 0;
    },
  };
}

function appending(output: Output, stamp: () => string): Screen {
  let last = '';
  return {
    say: (line) => void output.write(`${stamp()}${line}\n`),
    show(title, snapshot) {
      const line = `${title}: ${summary(snapshot)}`;
      if (line !== last) output.write(`${stamp()}${line}\n`);
      last = line;
    },
    settle: () => undefined,
  };
}

/** `control plane 2/3 running, workers 0/5 running; Provisioning 3, Pending 2`. */
export function summary({ machines, controlPlane, workers }: DemoSnapshot): string {
  const running = (wanted: boolean) =>
    machines.filter((one) => one.controlPlane === wanted && isRunning(one)).length;
  const counts = [
    `control plane ${running(true)}/${controlPlane?.spec.replicas ?? 0} running`,
    `workers ${running(false)}/${workers?.spec.replicas ?? 0} running`,
  ].join(', ');
  const others = new Map<string, number>();
  for (const machine of machines.filter((one) => !isRunning(one))) {
    others.set(stateOf(machine), (others.get(stateOf(machine)) ?? 0) + 1);
  }
  const rest = [...others].sort().map(([state, count]) => `${state} ${count}`);
  return rest.length === 0 ? counts : `${counts}; ${rest.join(', ')}`;
}

/** At most `room` lines. */
export function table(machines: readonly MachineRow[], room: number): string[] {
  if (machines.length === 0) return [];
  const rows = machines.map((one) => [
    one.name,
    stateOf(one),
    one.version,
    one.zone,
    one.node === '' ? '' : 'registered',
  ]);
  const cells = [['MACHINE', 'STATE', 'VERSION', 'ZONE', 'NODE'], ...rows];
  const widths = cells[0]!.map((_, column) => Math.max(...cells.map((row) => row[column]!.length)));
  const lines = cells.map((row) =>
    `         ${row.map((cell, at) => cell.padEnd(widths[at]!)).join('  ')}`.trimEnd(),
  );
  if (lines.length <= room) return lines;
  const shown = Math.max(room - 1, 1);
  return [...lines.slice(0, shown), `         ... and ${lines.length - shown} more`];
}

function stateOf(machine: MachineRow): string {
  if (machine.deleting) return 'Deleting';
  if (machine.phase === 'Running' && !isRunning(machine)) return 'Running, not ready';
  return machine.phase === '' ? 'New' : machine.phase;
}
