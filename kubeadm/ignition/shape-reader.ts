// SPDX-License-Identifier: Apache-2.0
// Reads a YAML document by its shape. Everything wrong with it is collected, with the line, and never with a value: that may be secret.
import {
  Document,
  isAlias,
  isMap,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  parseAllDocuments,
  type Scalar,
  type YAMLMap,
  type YAMLSeq,
} from 'yaml';
import type { Check } from './checks.ts';
import type { ListShape, ObjectShape, Shape, ValueOf } from './shape.ts';

type ScalarShape = Exclude<Shape, { kind: 'object' | 'list' | 'refused' }>;

export interface Finding {
  /** A warning leaves a usable value; an error does not. */
  readonly severity: 'error' | 'warning';
  /** Path in the document, such as `storage.files[0].mode`; empty for the document itself. */
  readonly path: string;
  /** From 1; undefined where the finding is about something that is not written. */
  readonly line: number | undefined;
  readonly problem: string;
}

/** Aliases could make a short document mean a huge one. */
const MAX_VALUES = 20_000;

/** YAML 1.1, as Container Linux Config is read elsewhere. */
const TRUE = /^(y|Y|yes|Yes|YES|true|True|TRUE|on|On|ON)$/;
const FALSE = /^(n|N|no|No|NO|false|False|FALSE|off|Off|OFF)$/;
const NULL = /^(~|null|Null|NULL|)$/;
const INTEGER = /^[-+]?(0b[01]+|0o?[0-7]*|0x[0-9a-fA-F]+|[1-9][0-9]*)$/;
const BINARY_TAG = 'tag:yaml.org,2002:binary';

/** The document's value, or undefined where it has none, and all that was found on the way. */
export function readShape<S extends ObjectShape>(
  source: string,
  shape: S,
): { value: ValueOf<S> | undefined; findings: Finding[] } {
  const lineCounter = new LineCounter();
  // Without a schema every scalar is the text as written, so that `0640`, `1.30` and `no` are what the shape says they are.
  const options = { schema: 'failsafe', version: '1.1', prettyErrors: false, lineCounter } as const;
  const [document = new Document(), ...rest] = parseAllDocuments(source, options);
  const reader = new Reader(document, lineCounter);
  for (const { contents } of rest.slice(0, 1)) {
    reader.add('warning', '', contents, 'has a second document, which is not read');
  }
  const value = reader.document(shape);
  return { value: value as ValueOf<S> | undefined, findings: reader.findings };
}

class Reader {
  readonly findings: Finding[] = [];
  private readonly source: Document;
  private readonly lineCounter: LineCounter;
  private values = 0;

  constructor(source: Document, lineCounter: LineCounter) {
    this.source = source;
    this.lineCounter = lineCounter;
  }

  document(shape: ObjectShape): unknown {
    const { contents, errors } = this.source;
    for (const { code, pos } of errors) {
      this.addAt('error', '', this.lineCounter.linePos(pos[0]).line, `is not YAML (${code})`);
    }
    if (errors.length > 0) return undefined;
    if (isNull(contents)) return this.add('warning', '', contents, 'is empty');
    return this.read(contents, shape, '');
  }

  add(severity: Finding['severity'], path: string, node: unknown, problem: string): undefined {
    const start = (node as Partial<Node> | null)?.range?.[0];
    const line = start === undefined ? undefined : this.lineCounter.linePos(start).line;
    return this.addAt(severity, path, line, problem);
  }

  addAt(severity: Finding['severity'], path: string, line: number | undefined, problem: string): undefined {
    this.findings.push({ severity, path, line, problem });
  }

  /** Answers undefined, with a finding, for what does not fit. */
  private read(given: unknown, shape: Shape, path: string): unknown {
    this.values += 1;
    if (this.values === MAX_VALUES) this.add('error', path, given, 'comes after too many others: write less');
    if (this.values >= MAX_VALUES || isNull(given)) return undefined;
    if (!isAlias(given)) return this.fitting(given, shape, path);
    const node = given.resolve(this.source);
    if (node === undefined) return this.add('error', path, given, 'is an alias of nothing');
    return isNull(node) ? undefined : this.fitting(node, shape, path);
  }

  private fitting(node: unknown, shape: Shape, path: string): unknown {
    switch (shape.kind) {
      case 'object':
        return isMap(node) ? this.object(node, shape, path) : this.add('error', path, node, 'must be a map');
      case 'list':
        return isSeq(node) ? this.list(node, shape, path) : this.add('error', path, node, 'must be a list');
      case 'refused':
        return this.add('error', path, node, `is not supported here: ${shape.wayOut}`);
      case 'text':
      case 'bytes':
      case 'flag':
      case 'integer':
        return this.single(node, shape, path);
    }
  }

  private list(list: YAMLSeq, shape: ListShape, path: string): unknown[] {
    return list.items
      .map((item, index) => this.read(item, shape.item, `${path}[${index}]`))
      .filter((value) => value !== undefined);
  }

  private resolve(node: unknown): unknown {
    return isAlias(node) ? node.resolve(this.source) : node;
  }

  private single(node: unknown, shape: ScalarShape, path: string): unknown {
    if (isScalar(node)) return this.scalar(node, shape, path);
    return this.add('error', path, node, 'must be a single value');
  }

  private scalar(node: Scalar, shape: ScalarShape, path: string): unknown {
    switch (shape.kind) {
      case 'flag':
        return flagOf(node) ?? this.add('error', path, node, 'must be true or false');
      case 'integer': {
        const value = integerOf(node);
        if (value === undefined)
          return this.add('error', path, node, 'must be a whole number, without quotes');
        return this.checked(node, path, value, shape.check);
      }
      case 'bytes':
        return contentOf(node) ?? this.add('error', path, node, 'must be base64');
      case 'text': {
        const content = contentOf(node);
        if (content === undefined) return this.add('error', path, node, 'must be base64');
        const value = typeof content === 'string' ? content : Buffer.from(content).toString('utf8');
        return this.checked(node, path, value, shape.check);
      }
    }
  }

  private checked<T>(node: Scalar, path: string, value: T, check: Check<T> | undefined): T {
    const problem = check?.(value);
    if (problem !== undefined) this.add('error', path, node, problem);
    return value;
  }

  private object(map: YAMLMap, shape: ObjectShape, path: string): object {
    const value: Record<string, unknown> = {};
    const at = (key: string) => (path === '' ? key : `${path}.${key}`);
    for (const [key, { keyNode, valueNode }] of this.pairs(map, path)) {
      const member = Object.hasOwn(shape.keys, key) ? shape.keys[key] : undefined;
      if (member === undefined)
        this.add('warning', at(key), keyNode, 'is not a key of Container Linux Config');
      else value[key] = this.read(valueNode, member, at(key));
    }
    for (const key of shape.required) {
      if (value[key] === undefined) this.add('error', at(key), map, 'must be set');
    }
    return value;
  }

  /** Keys of a map, those that `<<` merges into it included: its own win. */
  private pairs(map: YAMLMap, path: string): Map<string, { keyNode: unknown; valueNode: unknown }> {
    const pairs = new Map<string, { keyNode: unknown; valueNode: unknown }>();
    const merged: unknown[] = [];
    for (const { key, value } of map.items) {
      const name = isScalar(key) ? String(key.value) : '?';
      if (name === '<<') merged.push(value);
      else pairs.set(name, { keyNode: key, valueNode: value });
    }
    for (const node of merged) this.merge(node, pairs, path);
    return pairs;
  }

  private merge(
    given: unknown,
    into: Map<string, { keyNode: unknown; valueNode: unknown }>,
    path: string,
  ): void {
    const node = this.resolve(given);
    for (const source of isSeq(node) ? node.items : [node]) {
      const map = this.resolve(source);
      if (!isMap(map)) this.add('error', path, map, 'merges something that is not a map');
      // One level: what is merged merges nothing itself.
      else for (const { key, value } of map.items) mergePair(into, key, value);
    }
  }
}

function mergePair(
  into: Map<string, { keyNode: unknown; valueNode: unknown }>,
  key: unknown,
  value: unknown,
): void {
  const name = isScalar(key) ? String(key.value) : '?';
  if (!into.has(name)) into.set(name, { keyNode: key, valueNode: value });
}

/** Nothing written, or a null. */
function isNull(node: unknown): boolean {
  if (!isScalar(node)) return node === null || node === undefined;
  return node.type === 'PLAIN' && NULL.test(String(node.value));
}

function flagOf(node: Scalar): boolean | undefined {
  const written = plainText(node);
  if (TRUE.test(written)) return true;
  return FALSE.test(written) ? false : undefined;
}

function integerOf(node: Scalar): number | undefined {
  const written = plainText(node).replaceAll('_', '');
  if (!INTEGER.test(written)) return undefined;
  const sign = written.startsWith('-') ? -1 : 1;
  const digits = written.replace(/^[-+]/, '');
  // A leading zero is octal in YAML 1.1.
  const value = sign * Number(/^0[0-7]+$/.test(digits) ? `0o${digits}` : digits);
  return Number.isSafeInteger(value) ? value : undefined;
}

function plainText(node: Scalar): string {
  return node.type === 'PLAIN' ? String(node.value) : '';
}

function contentOf(node: Scalar): string | Uint8Array | undefined {
  const content = String(node.value);
  if (node.tag !== BINARY_TAG) return content;
  const digits = content.replaceAll(/\s/g, '');
  const valid = digits.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(digits);
  return valid ? Buffer.from(digits, 'base64') : undefined;
}
