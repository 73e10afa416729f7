// SPDX-License-Identifier: Apache-2.0
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { COMPRESSION_ANNOTATION, DATA_LIMIT_ANNOTATION } from '../api/labels.ts';
import { dataLimit, isSameData, publishedData, requireFit } from './size.ts';

const SECRET = 1_048_576;
const limitOf = (annotations: Record<string, string>, infrastructureKind = 'Other') =>
  dataLimit({ annotations, infrastructureKind }, 'cloud-config');
const cloudConfig = (bytes: number) => ({ value: 'x'.repeat(bytes), format: 'cloud-config' as const });
const GZIP = { [COMPRESSION_ANNOTATION]: 'gzip' };
const NONE = { [COMPRESSION_ANNOTATION]: 'none' };

describe('dataLimit', () => {
  it.each([
    ['nothing is said', {}, 'Other', { bytes: SECRET - 12, takesCompressed: false }],
    ['the machine unpacks', {}, 'TSMachine', { bytes: SECRET - 12, takesCompressed: true }],
    ['a person says gzip', GZIP, 'Other', { takesCompressed: true, isTold: true }],
    ['a person says none', NONE, 'TSMachine', { takesCompressed: false, isTold: true }],
    ['a limit is given', { [DATA_LIMIT_ANNOTATION]: '16384' }, 'Other', { bytes: 16_384 }],
    [
      'a limit beyond that of a Secret',
      { [DATA_LIMIT_ANNOTATION]: '9999999' },
      'Other',
      { bytes: SECRET - 12 },
    ],
  ])('%s', (_name, annotations, kind, expected) => {
    expect(limitOf(annotations, kind)).toMatchObject(expected);
  });

  it('leaves room for the longer word of another format', () => {
    const { bytes } = dataLimit({ annotations: undefined, infrastructureKind: undefined }, 'ignition');
    expect(bytes).toBe(SECRET - 'ignition'.length);
  });

  it.each([
    [DATA_LIMIT_ANNOTATION, '0'],
    [DATA_LIMIT_ANNOTATION, '16Ki'],
    [DATA_LIMIT_ANNOTATION, ''],
    [COMPRESSION_ANNOTATION, 'zstd'],
  ])('refuses %s "%s"', (name, value) => {
    expect(() => limitOf({ [name]: value })).toThrow(`metadata.annotations["${name}"]: must be`);
  });
});

describe('publishedData', () => {
  it.each([
    ['small data', 16_384, GZIP, 'none'],
    ['large data', 16_385, GZIP, 'gzip'],
    ['large data that may not be packed', 16_385, {}, 'none'],
    ['small data over the limit', 1_001, { ...GZIP, [DATA_LIMIT_ANNOTATION]: '1000' }, 'gzip'],
  ])('%s', (_name, bytes, annotations, compression) => {
    const data = publishedData(cloudConfig(bytes), limitOf(annotations));
    expect(data).toMatchObject({ compression, format: 'cloud-config' });
    const text = compression === 'gzip' ? gunzipSync(data.bytes) : Buffer.from(data.bytes);
    expect(text.toString()).toBe('x'.repeat(bytes));
  });

  it('has no time in it: the same data are the same bytes', () => {
    const data = publishedData(cloudConfig(20_000), limitOf(GZIP));
    expect([...data.bytes.subarray(4, 8)]).toEqual([0, 0, 0, 0]);
    expect(publishedData(cloudConfig(20_000), limitOf(GZIP))).toEqual(data);
  });

  it('of Ignition stay JSON, with packed contents', () => {
    const source = `data:,${'a'.repeat(20_000)}`;
    const value = JSON.stringify({
      ignition: { version: '3.4.0' },
      storage: { files: [{ path: '/a', contents: { source } }] },
    });
    const limit = dataLimit({ annotations: GZIP, infrastructureKind: 'Other' }, 'ignition');
    const data = publishedData({ value, format: 'ignition' }, limit);
    expect(data).toMatchObject({ compression: 'gzip', format: 'ignition' });
    expect(JSON.parse(Buffer.from(data.bytes).toString())).toMatchObject({
      storage: { files: [{ path: '/a', contents: { compression: 'gzip' } }] },
    });
  });
});

describe('requireFit', () => {
  const files = [3, 1, 4, 2].map((size) => ({ path: `/${size}`, content: 'é'.repeat(size) }));

  it('says nothing of data that fit', () => {
    const data = publishedData(cloudConfig(10), limitOf({ [DATA_LIMIT_ANNOTATION]: '10' }));
    expect(() =>
      requireFit(data, limitOf({ [DATA_LIMIT_ANNOTATION]: '10' }), { plainBytes: 10, files }),
    ).not.toThrow();
  });

  it('names sizes, limit, and the largest files, but nothing of their contents', () => {
    const limit = limitOf({ ...GZIP, [DATA_LIMIT_ANNOTATION]: '5' });
    const data = publishedData(cloudConfig(10_000), limit);
    const size = data.bytes.length;
    expect(() => requireFit(data, limit, { plainBytes: 10_000, files })).toThrow(
      `spec: the bootstrap data have 10000 bytes (${size} compressed), and annotation ${DATA_LIMIT_ANNOTATION} allows 5, ` +
        'the largest files are /4 8, /3 6, /2 4: make files smaller, or have the machine fetch the large ones',
    );
  });
});

describe('isSameData', () => {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  const text = 'abc'.repeat(500);
  it.each([
    ['the same bytes', 'YQ==', 'YQ==', true],
    ['other bytes', 'YQ==', 'Yg==', false],
    ['the same text, packed in two ways', base64(gzipSync(text, { level: 0 })), base64(gzipSync(text)), true],
    ['another text', base64(gzipSync(`${text}.`)), base64(gzipSync(text)), false],
    ['packed and not packed', base64(gzipSync(text)), base64(Buffer.from(text)), false],
    ['something broken', `${base64(gzipSync(text)).slice(0, 20)}`, base64(gzipSync(text)), false],
    ['nothing', undefined, base64(gzipSync(text)), false],
  ])('%s', (_name, a, b, same) => {
    expect(isSameData(a, b)).toBe(same);
  });
});
