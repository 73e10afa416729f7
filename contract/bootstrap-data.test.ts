// SPDX-License-Identifier: Apache-2.0
import { describe, expect, it } from 'vitest';
import { bootstrapDataOf } from './bootstrap-data.ts';

const encoded = (text: string): string => Buffer.from(text).toString('base64');

describe('bootstrap data', () => {
  it.each([
    { name: 'cloud-config', data: { value: encoded('#cloud-config'), format: encoded('cloud-config') } },
    { name: 'without a format', data: { value: encoded('#cloud-config') } },
    { name: 'with an empty format', data: { value: encoded('#cloud-config'), format: '' } },
  ])('is cloud-config: $name', ({ data }) => {
    expect(bootstrapDataOf(data)).toEqual({ format: 'cloud-config', value: Buffer.from('#cloud-config') });
  });

  it('passes any bytes on as they are', () => {
    const bytes = Buffer.from([0x1f, 0x8b, 0, 255, 10]);
    const data = { value: bytes.toString('base64'), format: encoded('ignition') };
    expect(bootstrapDataOf(data)).toEqual({ format: 'ignition', value: bytes });
  });

  it.each([
    { data: {}, wrong: '"value"' },
    { data: { value: '' }, wrong: '"value"' },
    { data: { value: encoded('hunter2'), format: encoded('hunter2-format') }, wrong: '"format"' },
  ])('says which key is wrong and nothing of its content: $wrong', ({ data, wrong }) => {
    const answer = bootstrapDataOf(data);
    expect(answer).toContain(wrong);
    expect(answer).not.toContain('hunter2');
  });
});
