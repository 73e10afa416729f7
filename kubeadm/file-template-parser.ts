// SPDX-License-Identifier: Apache-2.0
// Reads a Go template into a tree. Whatever is not in our subset of the language is refused by name, also where it would not be run.
import { TemplateError } from './file-template-error.ts';
import { piecesOf, type Token } from './file-template-lexer.ts';

/** Names as in Go; what they do is in file-template-functions.ts. */
export type FunctionName = 'and' | 'or' | 'not' | 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' | 'len' | 'slice';

export type Operand =
  | { readonly kind: 'literal'; readonly value: string | number | boolean }
  /** `variable` is `.` for the current value, `$` for all variables, or the name of one. */
  | {
      readonly kind: 'path';
      readonly variable: string;
      readonly fields: readonly string[];
      readonly line: number;
    }
  | {
      readonly kind: 'group';
      readonly pipeline: Pipeline;
      readonly fields: readonly string[];
      readonly line: number;
    };

export interface Command {
  readonly name: FunctionName | undefined;
  /** Exactly one when there is no function. */
  readonly operands: readonly Operand[];
  readonly line: number;
}

export interface Pipeline {
  readonly variable: { readonly name: string; readonly isNew: boolean } | undefined;
  readonly commands: readonly Command[];
  readonly line: number;
}

export type Node =
  | { readonly kind: 'text'; readonly text: string }
  | { readonly kind: 'action'; readonly pipeline: Pipeline }
  | Branch;

/** `with` also makes the value of the pipeline the current one. */
export interface Branch {
  readonly kind: 'if' | 'with';
  readonly pipeline: Pipeline;
  readonly then: readonly Node[];
  readonly otherwise: readonly Node[];
}

const FUNCTIONS: ReadonlySet<string> = new Set('and or not eq ne lt le gt ge len slice'.split(' '));

/** Fields of the variables. */
const FIELDS: ReadonlySet<string> = new Set(['controlPlane', 'version']);

/** What people know from Go or from Helm. Other names are not quoted: a template may come from a Secret. */
const KNOWN_ELSEWHERE: ReadonlySet<string> = new Set(
  (
    'range define template block break continue nil call html index js print printf println urlquery ' +
    'default empty coalesce ternary trim trimAll trimPrefix trimSuffix upper lower title replace contains hasPrefix hasSuffix ' +
    'quote squote indent nindent b64enc b64dec semver semverCompare regexMatch regexReplaceAll split splitList join cat ' +
    'toYaml toJson fromYaml fromJson dict list get set env now date atoi int add sub mul div required include tpl lookup'
  ).split(' '),
);

/** Deeper nesting is a mistake or an attack on our stack. */
const MAX_DEPTH = 100;

interface Reader {
  readonly pieces: ReturnType<typeof piecesOf>;
  at: number;
  /** Names of variables that are known here. */
  readonly variables: string[];
  depth: number;
}

/** The tree of a template. Throws TemplateError. */
export function parseFileTemplate(template: string): Node[] {
  const reader: Reader = { pieces: piecesOf(template), at: 0, variables: ['$'], depth: 0 };
  const { nodes, closing } = nodesOf(reader);
  if (closing !== undefined)
    throw new TemplateError(closing.line, `{{ ${closing.word} }} without an {{ if }} or {{ with }}`);
  return nodes;
}

/** What ended a list of nodes: `end`, or `else` with the tokens behind it. */
interface Closing {
  readonly word: 'end' | 'else';
  readonly rest: TokenReader;
  readonly line: number;
}

function nodesOf(reader: Reader): { nodes: Node[]; closing: Closing | undefined } {
  const nodes: Node[] = [];
  for (let piece = reader.pieces[reader.at]; piece !== undefined; piece = reader.pieces[reader.at]) {
    reader.at += 1;
    if ('text' in piece) {
      nodes.push({ kind: 'text', text: piece.text });
      continue;
    }
    const tokens = tokenReader(piece.tokens);
    const { kind, text, line } = tokens.peek();
    const word = kind === 'name' ? text : '';
    if (word === 'end' || word === 'else') {
      tokens.next();
      return { nodes, closing: { word, rest: tokens, line } };
    }
    nodes.push(word === 'if' || word === 'with' ? branch(reader, tokens) : action(reader, tokens));
  }
  return { nodes, closing: undefined };
}

function action(reader: Reader, tokens: TokenReader): Node {
  const pipeline = pipelineOf(reader, tokens);
  expectEnd(tokens);
  return { kind: 'action', pipeline };
}

/** From `if` or `with` to its `end`. Variables that it makes are gone behind it. */
function branch(reader: Reader, tokens: TokenReader): Branch {
  const start = tokens.next();
  const kind = start.text === 'if' ? 'if' : 'with';
  return nested(reader, start.line, () => {
    const outside = reader.variables.length;
    const pipeline = pipelineOf(reader, tokens);
    expectEnd(tokens);
    const declared = reader.variables.length;
    const { nodes, closing } = nodesOf(reader);
    reader.variables.length = declared;
    const otherwise = closing === undefined ? unclosed(start) : otherwiseOf(reader, { closing, start });
    reader.variables.length = outside;
    return { kind, pipeline, then: nodes, otherwise };
  });
}

/** `{{ else if … }}` is an `if` of its own inside the `else`, and shares the `end`. */
function otherwiseOf(reader: Reader, { closing, start }: { closing: Closing; start: Token }): Node[] {
  const { word, rest } = closing;
  if (word === 'else' && rest.peek().kind === 'name' && rest.peek().text === start.text)
    return [branch(reader, rest)];
  expectEnd(rest);
  if (word === 'end') return [];
  const last = nodesOf(reader);
  if (last.closing === undefined) return unclosed(start);
  if (last.closing.word === 'else') throw new TemplateError(last.closing.line, 'a second {{ else }}');
  expectEnd(last.closing.rest);
  return last.nodes;
}

function unclosed({ text, line }: Token): never {
  throw new TemplateError(line, `{{ ${text} }} without an {{ end }}`);
}

function nested<T>(reader: Reader, line: number, read: () => T): T {
  reader.depth += 1;
  if (reader.depth > MAX_DEPTH) throw new TemplateError(line, `nested more than ${MAX_DEPTH} deep`);
  const result = read();
  reader.depth -= 1;
  return result;
}

function pipelineOf(reader: Reader, tokens: TokenReader): Pipeline {
  const { line } = tokens.peek();
  const variable = declarationOf(reader, tokens);
  const commands = [commandOf(reader, tokens)];
  while (tokens.takes('|')) {
    const command = commandOf(reader, tokens);
    if (command.name === undefined)
      throw new TemplateError(command.line, 'only a function can stand behind |');
    commands.push(command);
  }
  if (variable?.isNew === true) reader.variables.push(variable.name);
  return { variable, commands, line };
}

function declarationOf(reader: Reader, tokens: TokenReader): Pipeline['variable'] {
  const { kind, text: name, line } = tokens.peek();
  const sign = tokens.peek(1);
  if (kind !== 'variable' || sign.kind !== 'symbol' || !/^:?=$/.test(sign.text)) return undefined;
  const isNew = sign.text === ':=';
  if (name === '$') throw new TemplateError(line, '$ cannot be changed');
  if (!isNew) requireVariable(reader, tokens.peek());
  tokens.next();
  tokens.next();
  return { name, isNew };
}

function commandOf(reader: Reader, tokens: TokenReader): Command {
  const first = tokens.peek();
  const name = first.kind === 'name' ? functionName(tokens.next()) : undefined;
  const operands: Operand[] = [];
  for (let next = tokens.peek(); startsOperand(next); next = tokens.peek()) {
    const isApart = next.spaced || (operands.length === 0 && name === undefined);
    if (!isApart) throw new TemplateError(next.line, 'arguments are separated by spaces');
    operands.push(operandOf(reader, tokens));
  }
  if (name === undefined && operands.length !== 1) {
    const problem = operands.length === 0 ? 'a value is missing' : 'a value does not take arguments';
    throw new TemplateError(first.line, problem);
  }
  return { name, operands, line: first.line };
}

function functionName({ text, line }: Token): FunctionName {
  if (FUNCTIONS.has(text)) return text as FunctionName;
  throw new TemplateError(
    line,
    KNOWN_ELSEWHERE.has(text) ? `${text} is not supported` : 'a function that is not known',
  );
}

function startsOperand({ kind, text }: Token): boolean {
  return kind !== 'end' && (kind !== 'symbol' || text === '(');
}

function operandOf(reader: Reader, tokens: TokenReader): Operand {
  const token = tokens.next();
  const { line } = token;
  switch (token.kind) {
    case 'literal':
      return { kind: 'literal', value: token.value };
    case 'dot':
      return { kind: 'path', variable: '.', fields: [], line };
    case 'field':
      return { kind: 'path', variable: '.', fields: [fieldName(token), ...fieldsOf(tokens)], line };
    case 'variable':
      requireVariable(reader, token);
      return { kind: 'path', variable: token.text, fields: fieldsOf(tokens), line };
    case 'symbol':
      return groupOf(reader, tokens, line);
    case 'name':
      throw new TemplateError(line, `${functionName(token)} as an argument stands in parentheses`);
    case 'end':
      throw new TemplateError(line, 'a value is missing');
  }
}

/** Behind the opening parenthesis. */
function groupOf(reader: Reader, tokens: TokenReader, line: number): Operand {
  return nested(reader, line, () => {
    const pipeline = pipelineOf(reader, tokens);
    if (!tokens.takes(')')) throw new TemplateError(tokens.peek().line, 'a parenthesis is not closed');
    return { kind: 'group', pipeline, fields: fieldsOf(tokens), line };
  });
}

/** `.a.b` right behind something. */
function fieldsOf(tokens: TokenReader): string[] {
  const fields: string[] = [];
  while (tokens.peek().kind === 'field' && !tokens.peek().spaced) fields.push(fieldName(tokens.next()));
  return fields;
}

function fieldName({ text, line }: Token): string {
  if (FIELDS.has(text)) return text;
  throw new TemplateError(line, 'a variable that is not known: there is .controlPlane.version');
}

function requireVariable({ variables }: Reader, { text, line }: Token): void {
  if (!variables.includes(text)) throw new TemplateError(line, 'a variable that is not defined');
}

function expectEnd(tokens: TokenReader): void {
  const { kind, line } = tokens.peek();
  if (kind !== 'end') throw new TemplateError(line, 'something that does not belong here');
}

interface TokenReader {
  /** The next token, or one further; the last one, of the kind `end`, stays. */
  peek(ahead?: number): Token;
  next(): Token;
  /** Takes the symbol when it is next. */
  takes(symbol: string): boolean;
}

function tokenReader(tokens: readonly Token[]): TokenReader {
  let at = 0;
  const peek = (ahead = 0): Token => {
    const token = tokens[Math.min(at + ahead, tokens.length - 1)];
    if (token === undefined) throw new Error('an action without tokens');
    return token;
  };
  const next = () => {
    const token = peek();
    at += 1;
    return token;
  };
  const takes = (symbol: string) => {
    const { kind, text } = peek();
    if (kind !== 'symbol' || text !== symbol) return false;
    at += 1;
    return true;
  };
  return { peek, next, takes };
}
