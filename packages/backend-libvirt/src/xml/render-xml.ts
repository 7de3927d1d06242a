import { DOMImplementation, type Document, type Element, XMLSerializer } from "@xmldom/xmldom";

/** Attributes of an element; those that are undefined are left out. */
type XmlAttributes = Readonly<Record<string, string | number | undefined>>;

/** An element: its name, attributes and children. Children that are undefined are left out. */
export type XmlNode = readonly [
  name: string,
  attributes: XmlAttributes,
  ...children: (XmlNode | string | number | undefined)[],
];

/**
 * The text of an element and everything in it, with all special characters escaped.
 *
 * @throws an error when a value has a character that XML cannot express.
 */
export function renderXml(root: XmlNode): string {
  const document = new DOMImplementation().createDocument(null, "");
  document.appendChild(toElement(document, root));
  return new XMLSerializer().serializeToString(document, { requireWellFormed: true });
}

function toElement(document: Document, [name, attributes, ...children]: XmlNode): Element {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value !== undefined) element.setAttribute(key, String(value));
  }
  for (const child of children) {
    if (child === undefined) continue;
    const isElement = typeof child === "object";
    element.appendChild(
      isElement ? toElement(document, child) : document.createTextNode(String(child)),
    );
  }
  return element;
}
