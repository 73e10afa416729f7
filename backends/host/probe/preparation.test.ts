// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { probeLines } from './lines.ts';
import { parsePreparation } from './preparation.ts';

const SOFTWARE = { kubelet: 'v1.36.3', kubeadm: 'v1.36.3' };

const parsed = (text: string, software: object = SOFTWARE) =>
  parsePreparation(probeLines(text), { software });

describe('what a host says of its preparation', () => {
  it('is nothing where nothing was prepared', () => {
    expect(parsed('hostname a\n')).toBeUndefined();
  });

  it('is a hash only while it has never come to its end', () => {
    expect(parsed('begun 0123456789abcdef\n')).toMatchObject({
      ...{ hash: '0123456789abcdef', version: '', complete: false },
    });
  });

  it('is hash and version once it is complete', () => {
    expect(parsed('complete 0123456789abcdef v1.36.3\n')).toEqual({
      ...{ hash: '0123456789abcdef', version: 'v1.36.3', complete: true, drifted: [] },
    });
  });

  it('names registries whose certificates are not verified', () => {
    const text = 'complete 0123456789abcdef v1.36.3\nunverified https://a:5000\nunverified https://b\n';
    expect(parsed(text)?.unverified).toEqual(['https://a:5000', 'https://b']);
  });

  it('is not complete while another one is under way, and says what is there', () => {
    expect(parsed('begun ffffffffffffffff\ncomplete 0123456789abcdef v1.36.3\n')).toMatchObject({
      ...{ hash: '0123456789abcdef', version: 'v1.36.3', complete: false },
      drifted: [{ step: 'complete', impact: 'none', path: 'it has begun, and has not come to its end' }],
    });
  });

  it('names what has drifted, with blanks in paths, and leaves out what it cannot read', () => {
    const text = [
      'complete 0123456789abcdef v1.36.3',
      'drift none sysctl /etc/sysctl.d/a b.conf',
      'drift restart runtime_config /etc/containerd/config.toml',
      'drift awful x /etc/x',
      'drift none',
    ];
    expect(parsed(text.join('\n'))?.drifted).toEqual([
      { step: 'runtime_config', impact: 'restart', path: '/etc/containerd/config.toml' },
      { step: 'sysctl', impact: 'none', path: '/etc/sysctl.d/a b.conf' },
    ]);
  });

  it('has drifted when other versions answer than were prepared', () => {
    const { drifted } = parsed('complete 0123456789abcdef v1.36.3\n', { kubelet: 'v1.36.4' }) ?? {};
    expect(drifted).toEqual([
      { step: 'kubernetes', impact: 'disruptive', path: 'kubeadm is missing, not v1.36.3' },
      { step: 'kubernetes', impact: 'disruptive', path: 'kubelet v1.36.4, not v1.36.3' },
    ]);
  });
});
