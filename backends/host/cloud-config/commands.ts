// SPDX-License-Identifier: Apache-2.0
// bootcmd and runcmd: all commands of one of them are one script, and share what a shell keeps (folder, variables, `set -e`).
import { quote } from '../job/shell.ts';
import type { Step } from '../job/job.ts';
import { type Field, itemsOf } from './fields.ts';
import { InterpretError } from './interpret-error.ts';
import { pyString } from './yaml-document.ts';

/** A string is a line of the script as it stands; of a list, each item is one word; null is nothing. */
export function scriptOf(field: Field): string {
  const lines = itemsOf(field).map(({ path, value }) => {
    if (value === null) return '';
    if (typeof value === 'string') return `${withoutNul(path, value)}\n`;
    if (Array.isArray(value)) return `${wordsOf({ path, value })}\n`;
    throw new InterpretError(path, 'is neither a string nor a list of words: write it in quotes');
  });
  return `#!/bin/sh\n${lines.join('')}`;
}

function wordsOf(field: Field): string {
  return itemsOf(field)
    .map(({ path, value }) => {
      const word = pyString(value);
      if (word === undefined) throw new InterpretError(path, 'is not a word: write it in quotes');
      return `'${withoutNul(path, word).replaceAll("'", `'\\''`)}'`;
    })
    .join(' ');
}

function withoutNul(path: string, text: string): string {
  if (text.includes('\0')) throw new InterpretError(path, 'holds NUL');
  return text;
}

/** Runs with INSTANCE_ID in its environment. */
export function bootcmdSteps(field: Field | undefined, instanceID: string): Step[] {
  if (field === undefined || itemsOf(field).length === 0) return [];
  const script = `INSTANCE_ID=${quote(instanceID)}\nexport INSTANCE_ID\n${scriptOf(field)}`;
  return [{ id: 'bootcmd', stage: 'bootcmd', script, repeatable: false, onFailure: 'continue' }];
}

/** The last module of all. */
export function runcmdSteps(field: Field | undefined): Step[] {
  if (field === undefined || itemsOf(field).length === 0) return [];
  return [
    { id: 'runcmd', stage: 'runcmd', script: scriptOf(field), repeatable: false, onFailure: 'continue' },
  ];
}
