// SPDX-License-Identifier: Apache-2.0
// Renders a document as cloud-init does, before it is read as YAML. The library interprets tags only, text never reaches it; nothing is
// evaluated as a program. What cloud-init would write as CI_MISSING_JINJA_VAR is refused.
import * as library from '@huggingface/jinja';
import { InterpretError } from './interpret-error.ts';
import { type Piece, scanTemplate } from './jinja-scanner.ts';
import { PyFloat, pyString } from './yaml-document.ts';

/** What a host tells of itself. More keys may be there. */
export interface InstanceMetadata {
  readonly instance_id: string;
  readonly local_hostname: string;
  readonly hostname: string;
  readonly provider_id: string;
  readonly [key: string]: string;
}

/** What we call of the library, whose own declarations do not load in an ES module. */
interface Jinja {
  readonly Environment: new () => { set(name: string, value: unknown): void };
  readonly Interpreter: new (environment: unknown) => { run(program: unknown): { readonly value: unknown } };
  parse(tokens: unknown): unknown;
  tokenize(source: string): unknown;
}

const jinja = library as unknown as Jinja;

/** Names that every template has. */
const CONSTANTS = { true: true, True: true, false: false, False: false, none: null, None: null };

/** Statements that choose, repeat and remember. Others need templates or macros, which bootstrap data have none of. */
const STATEMENTS = /^(?:if|elif|else|endif|for|endfor|set)\b/;

/** Brackets around the number of a text: characters that no text holds. */
const OPEN = '\ue000';
const CLOSE = '\ue001';

/** The header line says whether it is a template. Throws InterpretError. */
export function renderJinja(document: string, metadata: InstanceMetadata): string {
  const [header = '', ...rest] = document.split('\n');
  const kind = /^##\s*template:(.*)/i.exec(header)?.[1]?.trim().toLowerCase();
  if (kind === undefined) return document;
  if (kind !== 'jinja') throw new InterpretError('', 'the header names a template that is not "jinja"');
  return render(rest.join('\n'), metadata);
}

function render(template: string, metadata: InstanceMetadata): string {
  const lines = template.replace(/\r\n?/g, '\n');
  // Jinja drops the last line end, and cloud-init puts it back.
  const isEnded = lines.endsWith('\n');
  const pieces = scanTemplate(isEnded ? lines.slice(0, -1) : lines);
  if (lines.includes(OPEN))
    throw new InterpretError('', 'Jinja: the template holds characters for private use');
  const source = pieces.map(sourceOf).join('');
  const rendered = run(source, pieces, metadata).replace(/\ue000(\d+)\ue001/g, (_mark, index: string) => {
    const piece = pieces[Number(index)];
    return piece?.kind === 'text' ? piece.text : '';
  });
  return isEnded ? `${rendered}\n` : rendered;
}

function sourceOf(piece: Piece, index: number): string {
  if (piece.kind === 'text') return `${OPEN}${index}${CLOSE}`;
  if (piece.kind === 'expression') return `{{ shown_((${piece.code}\n), ${index}) }}`;
  const isAssignment = piece.code.startsWith('set') && !/^set\s+[\w\s,.()]+=(?!=)/.test(piece.code);
  if (!STATEMENTS.test(piece.code) || isAssignment)
    throw new InterpretError('', `Jinja, line ${piece.line + 1}: only if, for and set are supported`);
  return `{% ${piece.code} %}`;
}

function run(source: string, pieces: readonly Piece[], metadata: InstanceMetadata): string {
  const environment = new jinja.Environment();
  for (const [name, value] of Object.entries({ ...CONSTANTS, ...variablesOf(metadata) }))
    environment.set(name, value);
  environment.set('shown_', (value: unknown, index: number) => shown(value, pieces[index]));
  try {
    return String(new jinja.Interpreter(environment).run(jinja.parse(jinja.tokenize(source))).value);
  } catch (error) {
    if (error instanceof InterpretError) throw error;
    // The library's own words may quote the document.
    const [what] = /^Unknown (?:\w+ )?filter: \w+/.exec((error as Error).message) ?? [
      'a tag cannot be rendered',
    ];
    throw new InterpretError('', `Jinja: ${what}; hide braces that are meant to stay in {% raw %}`);
  }
}

/** As Jinja prints it, which is as Python does. */
function shown(value: unknown, piece: Piece | undefined): string {
  const line = piece === undefined || piece.kind === 'text' ? 0 : piece.line + 1;
  if (value === undefined) {
    const code = piece === undefined || piece.kind === 'text' ? '' : piece.code;
    const name = /^[\w.]{1,80}$/.test(code) ? code : 'a variable';
    throw new InterpretError('', `Jinja, line ${line}: ${name} is not known: use ds.meta_data or v1`);
  }
  const plain = typeof value === 'number' && !Number.isInteger(value) ? new PyFloat(value) : value;
  const text = pyString(plain);
  if (text === undefined)
    throw new InterpretError('', `Jinja, line ${line}: prints something that is not a text`);
  return text;
}

/** `ds.meta_data`, `v1`, and what is in `v1` once more at the top, each with underscores and with dashes. */
function variablesOf(metadata: InstanceMetadata): Record<string, unknown> {
  const v1 = bothWays({ instance_id: metadata.instance_id, local_hostname: metadata.local_hostname });
  return { ...v1, v1, ds: { meta_data: bothWays(metadata) } };
}

function bothWays(data: Readonly<Record<string, string>>): Record<string, string> {
  const dashed = Object.entries(data).map(([key, value]) => [key.replaceAll('_', '-'), value] as const);
  return { ...Object.fromEntries(dashed), ...data };
}
