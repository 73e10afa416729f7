// SPDX-License-Identifier: Apache-2.0

const QUANTITY = /^([+-]?(?:\d+\.?\d*|\.\d+))(?:([KMGTPE]i|[numkMGTPE])|[eE]([+-]?\d{1,3}))?$/;

const DECIMAL = ['n', 'u', 'm', '', 'k', 'M', 'G', 'T', 'P', 'E'];
const BINARY = ['', 'Ki', 'Mi', 'Gi', 'Ti', 'Pi', 'Ei'];

/** The number that a Kubernetes quantity such as `64Gi`, `1.5Ti` or `500m` stands for; `undefined` for what is none. */
export function quantityValue(text: string): number | undefined {
  const [, number, suffix = '', exponent = '0'] = QUANTITY.exec(text) ?? [];
  if (number === undefined) return undefined;
  const factor = suffix.endsWith('i')
    ? 1024 ** BINARY.indexOf(suffix)
    : 1000 ** (DECIMAL.indexOf(suffix) - DECIMAL.indexOf(''));
  return Number(number) * factor * 10 ** Number(exponent);
}
