// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { capture } from './capture.ts';

describe('captured output', () => {
  it.each([1, 2, 3, 5, 1000])('is divided at the line, in pieces of %i bytes', (size) => {
    const output = capture('now', 100);
    const all = Buffer.from('hello no\nnow\nä now\nend');
    for (let at = 0; at < all.length; at += size) output.add(all.subarray(at, at + size));
    expect(output).toMatchObject({
      ready: true,
      before: 'hello no\n',
      after: 'ä now\nend',
      overflowed: false,
    });
  });

  it('is too much only when it is more than the limit', () => {
    const output = capture('now', 3);
    output.add(Buffer.from('now\nabc'));
    expect(output.overflowed).toBe(false);
    output.add(Buffer.from('d'));
    expect(output.overflowed).toBe(true);
  });

  it('is too much when the line does not come', () => {
    const output = capture('now', 3);
    output.add(Buffer.alloc(64 * 1024, 'x'));
    expect(output.overflowed).toBe(false);
    output.add(Buffer.alloc(10, 'x'));
    expect(output).toMatchObject({ ready: false, overflowed: true });
  });
});
