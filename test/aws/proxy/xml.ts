// SPDX-License-Identifier: Apache-2.0
// The XML of AWS answers as a tree: elements with text or with children, no mixed content, no CDATA.

/** One element; `text` is unescaped and empty when there are children. */
export interface Element {
  readonly name: string;
  /** As written, with its leading blank: ` xmlns="..."`. */
  readonly attributes: string;
  children: Element[];
  text: string;
}

const TOKEN = /<\?[^>]*\?>|<!--[\s\S]*?-->|<(\/?)([^\s/>]+)([^>]*?)(\/?)>|([^<]+)/g;

/** Reads a document. Throws an Error when it has no root element. */
export function parseXML(document: string): Element {
  const root = element('');
  const open = [root];
  for (const [, closes, name, attributes, closed, text] of document.matchAll(TOKEN)) {
    const parent = open.at(-1) ?? root;
    if (text !== undefined) parent.text += unescape(text);
    else if (closes === '/') closeElement(open);
    else if (name !== undefined) {
      const child = { ...element(name), attributes: attributes ?? '' };
      parent.children.push(child);
      if (closed !== '/') open.push(child);
    }
  }
  const [top] = root.children;
  if (top === undefined) throw new Error('An answer of the cloud is not XML');
  return top;
}

function closeElement(open: Element[]): void {
  const closed = open.pop();
  // Blanks between children are layout.
  if (closed !== undefined && closed.children.length > 0) closed.text = '';
}

/** The document of a tree. */
export function writeXML(root: Element): string {
  return `<?xml version="1.0" encoding="UTF-8"?>\n${writeElement(root)}`;
}

function writeElement({ name, attributes, children, text }: Element): string {
  const inner = children.length > 0 ? children.map(writeElement).join('') : escapeXML(text);
  return `<${name}${attributes}>${inner}</${name}>`;
}

/** A new element with a text or with children. */
export function element(name: string, content: string | readonly Element[] = ''): Element {
  if (typeof content === 'string') return { name, attributes: '', children: [], text: content };
  return { name, attributes: '', children: [...content], text: '' };
}

/** The element at the end of a path of names, each the first of its name; `undefined` when one is missing. */
export function find(root: Element | undefined, ...path: string[]): Element | undefined {
  return path.reduce<Element | undefined>(
    (at, name) => at?.children.find((child) => child.name === name),
    root,
  );
}

/** The children of the list at the end of a path: the `item` or `member` elements. */
export function items(root: Element | undefined, ...path: string[]): Element[] {
  return find(root, ...path)?.children ?? [];
}

/** The text at the end of a path; empty when it is missing. */
export function textAt(root: Element | undefined, ...path: string[]): string {
  return find(root, ...path)?.text ?? '';
}

/** Puts an element in the place of the child of the same name, or at the end. */
export function setChild(parent: Element, child: Element): void {
  const at = parent.children.findIndex(({ name }) => name === child.name);
  if (at < 0) parent.children.push(child);
  else parent.children[at] = child;
}

/** Text as XML carries it. */
export function escapeXML(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}

const ENTITIES: Readonly<Record<string, string>> = { lt: '<', gt: '>', quot: '"', apos: "'", amp: '&' };

function unescape(text: string): string {
  if (!text.includes('&')) return text;
  return text.replaceAll(/&(#x?[0-9a-fA-F]+|\w+);/g, (whole, name: string) => {
    if (name.startsWith('#x')) return String.fromCodePoint(Number.parseInt(name.slice(2), 16));
    if (name.startsWith('#')) return String.fromCodePoint(Number(name.slice(1)));
    return ENTITIES[name] ?? whole;
  });
}
