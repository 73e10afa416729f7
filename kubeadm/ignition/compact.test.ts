// SPDX-License-Identifier: Apache-2.0
import { gunzipSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import { compactIgnition } from './compact.ts';
import { dataURL } from './data-url.ts';

interface Contents {
  source: string;
  compression?: string;
  verification?: { hash: string };
}

const config = (files: object[]) => JSON.stringify({ ignition: { version: '3.4.0' }, storage: { files } });
function filesOf(text: string): { contents: Contents; append?: Contents[] }[] {
  return (
    JSON.parse(compactIgnition(text)) as { storage: { files: { contents: Contents; append?: Contents[] }[] } }
  ).storage.files;
}
const unpacked = ({ source }: Contents) =>
  gunzipSync(Buffer.from(source.replace('data:;base64,', ''), 'base64'));

describe('compactIgnition', () => {
  it.each([
    ['text', 'grüße\n'.repeat(500)],
    ['bytes', Buffer.from([0, 128, 255].flatMap((byte) => new Array<number>(500).fill(byte)))],
  ])('packs %s, and it comes back byte for byte', (_name, contents) => {
    const [file] = filesOf(config([{ path: '/a', contents: { source: dataURL(contents) } }]));
    expect(file?.contents.compression).toBe('gzip');
    expect(unpacked(file!.contents)).toEqual(Buffer.from(contents));
  });

  it('packs what is appended, in either spec', () => {
    const contents = { source: dataURL('a'.repeat(5000)) };
    const [v3, v2] = filesOf(config([{ append: [contents] }, { append: true, contents }]));
    expect(v3?.append?.[0]?.compression).toBe('gzip');
    expect(v2?.contents.compression).toBe('gzip');
  });

  it.each([
    ['small contents', { source: 'data:,a' }],
    ['what is fetched', { source: 'https://example.org/a' }],
    ['what is packed already', { source: `data:,${'a'.repeat(5000)}`, compression: 'gzip' }],
    [
      'what a person has the hash of',
      { source: `data:,${'a'.repeat(5000)}`, verification: { hash: 'sha512-0' } },
    ],
  ])('leaves %s alone', (_name, contents) => {
    expect(filesOf(config([{ contents }]))).toEqual([{ contents }]);
  });

  it('leaves a config without files alone', () => {
    expect(JSON.parse(compactIgnition('{"ignition":{}}'))).toEqual({ ignition: {} });
  });
});
