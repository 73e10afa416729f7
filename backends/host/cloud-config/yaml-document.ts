// SPDX-License-Identifier: Apache-2.0
// YAML 1.1 as PyYAML's safe loader reads it, which is what cloud-init reads with. The library's own YAML 1.1 takes `y`, `n` and `1e3` for
// more than strings.
import { parseDocument, type ScalarTag } from 'yaml';
import { InterpretError } from './interpret-error.ts';

/** A number with a point: Python writes it in another way than JavaScript. */
export class PyFloat {
  readonly value: number;

  constructor(value: number) {
    this.value = value;
  }
}

/** A date: Python has objects for them. */
export class PyDate {}

/** What a document is made of. */
export type Value = null | boolean | number | bigint | string | Buffer | PyFloat | PyDate | Value[] | Mapping;

/** The last one of equal keys counts. */
export type Mapping = Map<string, Value>;

const BOOLEANS = /^(?:yes|Yes|YES|no|No|NO|true|True|TRUE|false|False|FALSE|on|On|ON|off|Off|OFF)$/;
const INTEGER =
  /^(?:[-+]?0b[0-1_]+|[-+]?0[0-7_]+|[-+]?(?:0|[1-9][0-9_]*)|[-+]?0x[0-9a-fA-F_]+|[-+]?[1-9][0-9_]*(?::[0-5]?[0-9])+)$/;
const FLOAT =
  /^(?:[-+]?[0-9][0-9_]*\.[0-9_]*(?:[eE][-+][0-9]+)?|\.[0-9][0-9_]*(?:[eE][-+][0-9]+)?|[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+\.[0-9_]*|[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN))$/;
const DATE =
  /^(?:\d{4}-\d\d-\d\d|\d{4}-\d\d?-\d\d?(?:[Tt]|[ \t]+)\d\d?:\d\d:\d\d(?:\.\d*)?(?:[ \t]*(?:Z|[-+]\d\d?(?::\d\d)?))?)$/;

const TAGS: ScalarTag[] = [
  tag('null', /^(?:~|null|Null|NULL|)$/, () => null),
  tag('bool', BOOLEANS, (text) => /^(?:yes|true|on)$/i.test(text)),
  tag('int', INTEGER, integer),
  tag('float', FLOAT, (text) => new PyFloat(float(text))),
  tag('timestamp', DATE, () => new PyDate()),
  { ...tag('binary', undefined, (text) => Buffer.from(text, 'base64')), default: false },
];

function tag(name: string, test: RegExp | undefined, resolve: (text: string) => unknown): ScalarTag {
  return {
    tag: `tag:yaml.org,2002:${name}`,
    default: true,
    ...(test === undefined ? {} : { test }),
    resolve,
  };
}

/** Base 2, 8 (`0644`), 16, 60 (`1:30`) and 10. */
function integer(text: string): number | bigint {
  const [, sign = '', digits = '0'] = /^([-+]?)(.*)$/.exec(text.replaceAll('_', '')) ?? [];
  const size = digits.includes(':')
    ? digits.split(':').reduce((sum, part) => sum * 60n + BigInt(part), 0n)
    : BigInt(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits);
  const value = sign === '-' ? -size : size;
  return Number.isSafeInteger(Number(value)) ? Number(value) : value;
}

function float(text: string): number {
  const plain = text.replaceAll('_', '').toLowerCase();
  if (plain.endsWith('inf')) return plain.startsWith('-') ? -Infinity : Infinity;
  if (plain.includes(':')) {
    const sign = plain.startsWith('-') ? -1 : 1;
    return (
      sign *
      plain
        .replace(/^[-+]/, '')
        .split(':')
        .reduce((sum, part) => sum * 60 + Number(part), 0)
    );
  }
  return Number(plain);
}

/** The mapping of a document. Throws InterpretError with the line, and with nothing of the text. */
export function readDocument(text: string): Mapping {
  const document = parseDocument(text, {
    version: '1.1',
    schema: 'failsafe',
    customTags: TAGS,
    merge: true,
    uniqueKeys: false,
    prettyErrors: true,
    keepSourceTokens: false,
  });
  const [problem] = [...document.errors, ...document.warnings];
  if (problem !== undefined) {
    const line = problem.linePos?.[0].line;
    throw new InterpretError(
      '',
      `the cloud-config is not YAML${line === undefined ? '' : `: line ${line}`} (${problem.code})`,
    );
  }
  const value = valueOf(toPlain(document), '');
  if (value instanceof Map) return value;
  throw new InterpretError('', 'the cloud-config is not a mapping');
}

function toPlain(document: ReturnType<typeof parseDocument>): unknown {
  try {
    return document.toJS({ mapAsMap: true, maxAliasCount: 100 });
  } catch {
    throw new InterpretError('', 'the cloud-config has aliases of YAML that cannot be followed');
  }
}

function valueOf(seen: unknown, path: string): Value {
  if (Array.isArray(seen)) return seen.map((item, index) => valueOf(item, `${path}[${index}]`));
  if (seen instanceof Map) return mappingOf(seen, path);
  if (seen instanceof Set) throw new InterpretError(path, 'a set of YAML is not supported: use a list');
  return seen as Value;
}

function mappingOf(seen: Map<unknown, unknown>, path: string): Mapping {
  const result: Mapping = new Map();
  for (const [key, item] of seen) {
    if (typeof key !== 'string') throw new InterpretError(path, 'has a key that is not a string: quote it');
    result.set(key, valueOf(item, path === '' ? key : `${path}.${key}`));
  }
  return result;
}

/** As Python's `str()` writes it; `undefined` for what nobody means to be written. */
export function pyString(value: unknown): string | undefined {
  if (typeof value === 'string') return value;
  if (value === null) return 'None';
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  if (typeof value === 'number' || typeof value === 'bigint') return String(value);
  return value instanceof PyFloat ? pyFloat(value.value) : undefined;
}

/** As `repr` writes it: with a point or an exponent, with an exponent from 1e16 on and below 1e-4. */
function pyFloat(value: number): string {
  if (!Number.isFinite(value)) return String(value).replace('Infinity', 'inf').toLowerCase();
  const [digits = '', exponent = '0'] = value.toExponential().split('e');
  const power = Number(exponent);
  if (power < -4 || power >= 16)
    return `${digits}e${power < 0 ? '-' : '+'}${String(Math.abs(power)).padStart(2, '0')}`;
  // Below 1e21 and from 1e-6 on, JavaScript writes no exponent either.
  const text = Object.is(value, -0) ? '-0' : String(value);
  return text.includes('.') ? text : `${text}.0`;
}
