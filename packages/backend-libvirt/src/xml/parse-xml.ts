import { DOMParser, type Element, onErrorStopParsing } from "@xmldom/xmldom";

/** The longest document that is read, in characters: four times the longest that libvirt sends. */
const MAXIMUM_LENGTH = 16 * 2 ** 20;

/**
 * The root element of a document. Document type declarations are refused, so there are no entities to expand.
 *
 * @throws an error when the text is not well-formed.
 */
export function parseXml(text: string): Element {
  if (text.length > MAXIMUM_LENGTH)
    throw new Error(`the XML has ${text.length} characters, which is too long`);
  const document = new DOMParser({ onError: onErrorStopParsing }).parseFromString(text, "text/xml");
  if (document.doctype)
    throw new Error("the XML has a document type declaration, which is not allowed");
  const root = document.documentElement;
  if (root) return root;
  throw new Error("the XML has no root element");
}

/** The children of an element with this local name, in order. */
export function childrenOf(element: Element | undefined, name: string): Element[] {
  return Array.from(element?.childNodes ?? []).filter(
    (node): node is Element =>
      node.nodeType === node.ELEMENT_NODE && (node as Element).localName === name,
  );
}

/** The first element that a path of local names leads to, such as `devices/interface`. */
export function childAt(element: Element | undefined, path: string): Element | undefined {
  return path
    .split("/")
    .reduce<Element | undefined>((at, name) => childrenOf(at, name)[0], element);
}

/** The text of the element that a path leads to. */
export function textAt(element: Element | undefined, path: string): string | undefined {
  return childAt(element, path)?.textContent?.trim();
}

/** An attribute; `undefined` when it is not there. */
export function attributeOf(element: Element | undefined, name: string): string | undefined {
  return element?.getAttribute(name) ?? undefined;
}
