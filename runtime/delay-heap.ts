// SPDX-License-Identifier: Apache-2.0

interface Entry {
  readonly key: string;
  readonly dueMs: number;
}

/** Keys by due time, at most one due time per key. All operations are logarithmic, so that tens of thousands may wait. */
export class DelayHeap {
  private readonly due = new Map<string, number>();
  // A binary heap. Entries that `due` no longer agrees with are dead and skipped when they come up.
  private entries: Entry[] = [];

  /** How many keys wait. */
  get size(): number {
    return this.due.size;
  }

  /** Keeps the earlier of the known and the given due time. */
  set(key: string, dueMs: number): void {
    const known = this.due.get(key);
    if (known !== undefined && known <= dueMs) return;
    this.due.set(key, dueMs);
    this.entries.push({ key, dueMs });
    this.siftUp(this.entries.length - 1);
    if (this.entries.length > 64 && this.entries.length > 2 * this.due.size) this.rebuild();
  }

  delete(key: string): void {
    this.due.delete(key);
  }

  clear(): void {
    this.due.clear();
    this.entries = [];
  }

  /** When the first key is due; `undefined` when none waits. */
  firstDueMs(): number | undefined {
    this.dropDead();
    return this.entries[0]?.dueMs;
  }

  /** Takes the first key that is due at `nowMs`. */
  takeDue(nowMs: number): string | undefined {
    this.dropDead();
    const first = this.entries[0];
    if (first === undefined || first.dueMs > nowMs) return undefined;
    this.removeFirst();
    this.due.delete(first.key);
    return first.key;
  }

  private dropDead(): void {
    for (let first = this.entries[0]; first !== undefined; first = this.entries[0]) {
      if (this.due.get(first.key) === first.dueMs) return;
      this.removeFirst();
    }
  }

  /** Dead entries would otherwise pile up under a key whose wake-up is moved forward again and again. */
  private rebuild(): void {
    // A sorted array is a heap.
    this.entries = [...this.due].map(([key, dueMs]) => ({ key, dueMs })).sort((a, b) => a.dueMs - b.dueMs);
  }

  private removeFirst(): void {
    const last = this.entries.pop();
    if (last === undefined || this.entries.length === 0) return;
    this.entries[0] = last;
    this.siftDown(0);
  }

  private siftUp(start: number): void {
    let at = start;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (this.dueAt(parent) <= this.dueAt(at)) return;
      this.swap(at, parent);
      at = parent;
    }
  }

  private siftDown(start: number): void {
    let at = start;
    for (;;) {
      const left = 2 * at + 1;
      const smaller = this.dueAt(left + 1) < this.dueAt(left) ? left + 1 : left;
      if (this.dueAt(at) <= this.dueAt(smaller)) return;
      this.swap(at, smaller);
      at = smaller;
    }
  }

  /** Beyond the end everything is later than anything. */
  private dueAt(index: number): number {
    return this.entries[index]?.dueMs ?? Infinity;
  }

  private swap(a: number, b: number): void {
    const [first, second] = [this.entries[a], this.entries[b]];
    if (first === undefined || second === undefined) return;
    this.entries[a] = second;
    this.entries[b] = first;
  }
}
