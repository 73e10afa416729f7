// SPDX-License-Identifier: Apache-2.0
// Files with `contentFormat: Template` (KB-20b): a declared subset of Go's text/template, which renders as Go does or is refused.
import { callFunction, type Fields, isTrue, type Value } from './file-template-functions.ts';
import { TemplateError } from './file-template-error.ts';
import {
  type Branch,
  type Command,
  type Node,
  type Operand,
  parseFileTemplate,
  type Pipeline,
} from './file-template-parser.ts';
import { InputError } from './input-error.ts';

/** What a rendered file may come to, in bytes: as the stock provider has it. */
const MAX_BYTES = 1 << 20;

const ALLOWED =
  'Allowed are .controlPlane.version, if, else, with, variables, comments, trim markers, text, whole numbers, true, false, and ' +
  'the functions and, or, not, eq, ne, lt, le, gt, ge, len, slice';

/**
 * The text that the template gives. Throws InputError with the line for a template that is wrong, that is outside of the subset, or
 * that gives more than 1 MiB; the message quotes none of its text.
 */
export function renderFileTemplate(
  text: string,
  variables: { readonly controlPlane?: { readonly version: string } },
  field: string,
): string {
  try {
    const rendering: Rendering = { out: [], root: variables, current: variables, variables: [] };
    rendering.variables.push({ name: '$', value: variables });
    for (const node of parseFileTemplate(text)) render(node, rendering);
    const result = rendering.out.join('');
    if (Buffer.byteLength(result) <= MAX_BYTES) return result;
  } catch (error) {
    if (!(error instanceof TemplateError)) throw error;
    throw new InputError(field, `template, line ${error.line}: ${error.message}. ${ALLOWED}`, {
      cause: error,
    });
  }
  throw new InputError(field, `the template gives more than ${MAX_BYTES} bytes: make it smaller`);
}

interface Rendering {
  readonly out: string[];
  readonly root: Fields;
  /** What `.` stands for. */
  current: Value;
  /** The innermost one is the last. */
  readonly variables: { readonly name: string; value: Value }[];
}

function render(node: Node, rendering: Rendering): void {
  if (node.kind === 'text') rendering.out.push(node.text);
  else if (node.kind === 'action') act(node.pipeline, rendering);
  else renderBranch(node, rendering);
}

/** A pipeline that sets a variable prints nothing. */
function act(pipeline: Pipeline, rendering: Rendering): void {
  const value = valueOfPipeline(pipeline, rendering);
  if (pipeline.variable === undefined) rendering.out.push(printed(value, pipeline.line));
}

function printed(value: Value, line: number): string {
  if (typeof value !== 'object') return value === undefined ? '<no value>' : String(value);
  throw new TemplateError(line, 'a group of variables cannot be printed: print .controlPlane.version');
}

function renderBranch({ kind, pipeline, then, otherwise }: Branch, rendering: Rendering): void {
  const outside = rendering.variables.length;
  const { current } = rendering;
  const value = valueOfPipeline(pipeline, rendering);
  const isThen = isTrue(value);
  if (isThen && kind === 'with') rendering.current = value;
  for (const node of isThen ? then : otherwise) render(node, rendering);
  rendering.current = current;
  rendering.variables.length = outside;
}

function valueOfPipeline({ variable, commands }: Pipeline, rendering: Rendering): Value {
  let value: Value;
  commands.forEach((command, index) => {
    value = valueOfCommand(command, index === 0 ? [] : [value], rendering);
  });
  if (variable?.isNew === true) rendering.variables.push({ name: variable.name, value });
  else if (variable !== undefined) variableOf(variable.name, rendering).value = value;
  return value;
}

/** `piped`: the value of the command before, as the last argument. */
function valueOfCommand(
  { name, operands, line }: Command,
  piped: readonly Value[],
  rendering: Rendering,
): Value {
  const [first] = operands;
  if (name === undefined) return first === undefined ? undefined : valueOf(first, rendering);
  const values = operands.map((operand) => () => valueOf(operand, rendering));
  const all = [...values, ...piped.map((value) => () => value)];
  if (name === 'and' || name === 'or') return decide(all, { until: name === 'or', name, line });
  return callFunction(
    name,
    all.map((value) => value()),
    line,
  );
}

/** The first value that is true (`or`) or false (`and`), else the last; what follows it is not evaluated. */
function decide(
  values: readonly (() => Value)[],
  { until, name, line }: { until: boolean; name: string; line: number },
): Value {
  if (values.length === 0) throw new TemplateError(line, `${name} takes at least 1 argument, not 0`);
  let value: Value;
  for (const next of values) {
    value = next();
    if (isTrue(value) === until) break;
  }
  return value;
}

function valueOf(operand: Operand, rendering: Rendering): Value {
  if (operand.kind === 'literal') return operand.value;
  const { fields, line } = operand;
  const start =
    operand.kind === 'group' ? valueOfPipeline(operand.pipeline, rendering) : startOf(operand, rendering);
  return fields.reduce((value: Value, name) => fieldOf(value, { name, line }), start);
}

function startOf({ variable }: { variable: string }, rendering: Rendering): Value {
  return variable === '.' ? rendering.current : variableOf(variable, rendering).value;
}

function variableOf(name: string, { variables }: Rendering): { value: Value } {
  const found = variables.findLast((variable) => variable.name === name);
  if (found === undefined) throw new Error('the parser lets only known variables pass');
  return found;
}

/** A field of an absent value is absent. */
function fieldOf(value: Value, { name, line }: { name: string; line: number }): Value {
  if (value === undefined) return undefined;
  if (typeof value !== 'object') throw new TemplateError(line, 'a value has no fields');
  return value[name as keyof Fields];
}
