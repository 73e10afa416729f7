// SPDX-License-Identifier: Apache-2.0
// YAML in one fixed form: sorted keys, no comments, no aliases, no folding, two spaces, sequences level with their key (KB-41).
// We write it ourselves because equal input has to give equal bytes whatever a library does in its next release: a data
// secret that changes by a quote is a data secret that changes.
import { inlineText, literalBlock } from './yaml-text.ts';

/** What a document is made of. */
export type YamlValue = null | boolean | number | string | readonly YamlValue[] | YamlMap;

/** A member that is undefined is absent; null is written as null. */
export interface YamlMap {
  readonly [key: string]: YamlValue | undefined;
}

type Collection = readonly YamlValue[] | YamlMap;

/** One document, ending in a line feed. */
export function yamlDocument(map: YamlMap): string {
  const lines = entries(map).length === 0 ? ['{}'] : collectionLines(map);
  return `${lines.join('\n')}\n`;
}

function collectionLines(value: Collection): string[] {
  if (isSequence(value)) return value.flatMap(itemLines);
  return entries(value).flatMap(([key, member]) => memberLines(key, member));
}

function itemLines(value: YamlValue): string[] {
  if (!isFilled(value)) return scalarLines('-', value);
  const [first, ...others] = collectionLines(value);
  return [`- ${first}`, ...indented(others)];
}

function memberLines(key: string, value: YamlValue): string[] {
  const label = `${inlineText(key)}:`;
  if (!isFilled(value)) return scalarLines(label, value);
  const lines = collectionLines(value);
  return [label, ...(isSequence(value) ? lines : indented(lines))];
}

/** What fits behind a key or a dash, or is a block below it. */
function scalarLines(label: string, value: YamlValue): string[] {
  if (typeof value === 'string') {
    const block = literalBlock(value);
    return block === undefined
      ? [`${label} ${inlineText(value)}`]
      : [`${label} ${block.header}`, ...indented(block.lines)];
  }
  if (isCollection(value)) return [`${label} ${isSequence(value) ? '[]' : '{}'}`];
  return [`${label} ${String(value)}`];
}

function indented(lines: readonly string[]): string[] {
  return lines.map((line) => (line === '' ? line : `  ${line}`));
}

function isCollection(value: YamlValue): value is Collection {
  return typeof value === 'object' && value !== null;
}

function isSequence(value: YamlValue): value is readonly YamlValue[] {
  return Array.isArray(value);
}

function isFilled(value: YamlValue): value is Collection {
  if (!isCollection(value)) return false;
  return isSequence(value) ? value.length > 0 : entries(value).length > 0;
}

/** Members that are there, by key in code unit order, so that no locale has a say. */
function entries(map: YamlMap): [string, YamlValue][] {
  const present = Object.entries(map).filter((entry): entry is [string, YamlValue] => entry[1] !== undefined);
  return present.sort(([one], [other]) => (one < other ? -1 : 1));
}
