// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { TSHostKind } from '../../api/kinds.ts';
import { POOL_LABEL } from '../../api/labels.ts';
import type { HostState } from '../../api/tshost-status.ts';
import type { TSHost } from '../../api/tshost.ts';
import { FakeAPI } from '../../test/fake-api.ts';
import { createTurns } from './turn.ts';

/** `begun`: the clean-up is written down. */
interface Given {
  readonly namespace?: string;
  readonly pool?: string;
  readonly state?: HostState;
  readonly begun?: boolean;
}

function world() {
  const api = new FakeAPI();
  const turns = createTurns();
  const cache = api.cache();
  const put = (name: string, given: Given = {}): TSHost =>
    api.put<TSHost>({
      ...TSHostKind,
      metadata: {
        namespace: given.namespace ?? 'ns',
        name,
        ...(given.pool !== undefined && { labels: { [POOL_LABEL]: given.pool } }),
      },
      spec: { ssh: { address: '10.0.0.1', credentialsRef: { name: 'ssh' } } },
      status: {
        state: given.state ?? 'Releasing',
        ...(given.begun === true && {
          operation: { id: 'clean-1-1', kind: 'Clean', attempt: 1, startedAt: '2026-01-01T00:00:00Z' },
        }),
      },
    });
  return { put, take: (host: TSHost, limit = 2) => turns.take(host, { cache, limit }), api };
}

describe('a turn to be cleaned', () => {
  it('is given to as many as the limit says, and told to the others', () => {
    const { put, take } = world();
    const [a, b, c] = [put('a'), put('b'), put('c')];
    expect([take(a), take(b)]).toEqual(['', '']);
    expect(take(c)).toBe('2 of 2 hosts of pool ns are being cleaned');
  });

  it('is the same when asked for again, and is no second one', () => {
    const { put, take } = world();
    const [a, b] = [put('a'), put('b')];
    expect([take(a), take(a), take(a), take(b)]).toEqual(['', '', '', '']);
  });

  it.each<{ name: string; given: Given }>([
    { name: 'Releasing with its clean-up begun', given: { state: 'Releasing', begun: true } },
    { name: 'Cleaning', given: { state: 'Cleaning', begun: true } },
  ])('counts a host that is $name, also after a restart', ({ given }) => {
    const { put, take } = world();
    put('a', given);
    expect(take(put('b'), 1)).toBe('1 of 1 hosts of pool ns are being cleaned');
  });

  it.each<{ name: string; given: Given }>([
    { name: 'waits for its own turn', given: { state: 'Releasing' } },
    { name: 'is Quarantined after a clean-up', given: { state: 'Quarantined', begun: true } },
    { name: 'is of another pool', given: { state: 'Cleaning', begun: true, pool: 'other' } },
    { name: 'is of another namespace', given: { state: 'Cleaning', begun: true, namespace: 'other' } },
  ])('does not count a host that $name', ({ given }) => {
    const { put, take } = world();
    put('a', given);
    expect(take(put('b'), 1)).toBe('');
  });

  it('is never refused to a host whose clean-up has begun', () => {
    const { put, take } = world();
    const [, b] = [put('a', { begun: true }), put('b', { begun: true })];
    expect(take(b, 1)).toBe('');
  });

  it('goes on to the next when the host does not want to be cleaned any more', () => {
    const { put, take } = world();
    expect(take(put('a'), 1)).toBe('');
    expect(take(put('b'), 1)).toContain('1 of 1');
    put('a', { state: 'Quarantined' });
    expect(take(put('b'), 1)).toBe('');
  });

  it('goes on to the next when the host is gone', () => {
    const { put, take, api } = world();
    const a = put('a');
    expect(take(a, 1)).toBe('');
    api.remove(TSHostKind, { namespace: 'ns', name: 'a' });
    expect(take(put('b'), 1)).toBe('');
  });

  it('counts pools by their label', () => {
    const { put, take } = world();
    put('a', { pool: 'rack-a', begun: true });
    expect(take(put('b', { pool: 'rack-a' }), 1)).toBe('1 of 1 hosts of pool rack-a are being cleaned');
  });
});
