import type { Element } from "@xmldom/xmldom";
import { ImageError } from "../image-error.ts";

const MAX_DESCRIPTOR_BYTES = 1024 * 1024;
const MAX_DEPTH = 100;
const OVF_NAMESPACE = /ovf\/(1\/)?envelope/;
const INSTANCE_NAMESPACE = "http://www.w3.org/2001/XMLSchema-instance";

/**
 * Parses a descriptor without ever looking at a document type, so that there are no entities but
 * the five of XML itself.
 *
 * @throws ImageError `IMAGE_TOO_LARGE` over 1 MiB, `IMAGE_UNSAFE` for a document type,
 * `IMAGE_CORRUPT` for what is no well-formed OVF.
 */
export async function parseEnvelope(bytes: Uint8Array): Promise<Element> {
  if (bytes.length > MAX_DESCRIPTOR_BYTES) {
    throw new ImageError(
      "IMAGE_TOO_LARGE",
      `the OVF descriptor has ${bytes.length} bytes, more than ${MAX_DESCRIPTOR_BYTES}`,
    );
  }
  const text = decodeText(bytes);
  if (/<!(DOCTYPE|ENTITY|ELEMENT|ATTLIST)/i.test(text)) {
    throw new ImageError("IMAGE_UNSAFE", "the OVF descriptor declares a document type");
  }
  refuseDepth(text);
  const { DOMParser, onErrorStopParsing } = await import("@xmldom/xmldom");
  let root: Element | null;
  try {
    root = new DOMParser({ onError: onErrorStopParsing }).parseFromString(
      text,
      "text/xml",
    ).documentElement;
  } catch (cause) {
    throw new ImageError("IMAGE_CORRUPT", "the OVF descriptor is not well-formed XML", { cause });
  }
  if (root?.localName !== "Envelope" || !OVF_NAMESPACE.test(root.namespaceURI ?? "")) {
    throw new ImageError("IMAGE_CORRUPT", "the XML document is not an OVF descriptor");
  }
  return root;
}

/** The child elements of this local name, whatever their prefix. */
export function childrenOf(parent: Element, name: string): readonly Element[] {
  return allChildren(parent).filter((child) => child.localName === name);
}

/**
 * The child elements that are an OVF section or content of this name, which older versions write
 * as the `xsi:type` of a nameless one.
 */
export function sectionsOf(parent: Element, name: string): readonly Element[] {
  return allChildren(parent).filter((child) => {
    if (child.localName === name) return true;
    const type = child.getAttributeNS(INSTANCE_NAMESPACE, "type") ?? "";
    return type.replace(/^.*:/, "") === `${name}_Type`;
  });
}

/** The trimmed text of the first child of this local name; `undefined` when missing or empty. */
export function childText(parent: Element, ...names: readonly string[]): string | undefined {
  const child = allChildren(parent).find(({ localName }) => names.includes(localName ?? ""));
  const text = child?.textContent?.trim() ?? "";
  return text === "" ? undefined : text;
}

/** An attribute of OVF, with or without its namespace; `undefined` when missing or empty. */
export function attributeOf(element: Element, name: string): string | undefined {
  let value = "";
  for (const attribute of element.attributes) {
    if (attribute.localName !== name) continue;
    const isOvf = OVF_NAMESPACE.test(attribute.namespaceURI ?? "");
    if (isOvf || (value === "" && !attribute.namespaceURI)) ({ value } = attribute);
    if (isOvf) break;
  }
  return value === "" ? undefined : value;
}

function allChildren(parent: Element): readonly Element[] {
  const children: Element[] = [];
  for (let node = parent.firstChild; node !== null; node = node.nextSibling) {
    if (node.nodeType === node.ELEMENT_NODE) children.push(node as Element);
  }
  return children;
}

// Some writers declare UTF-16 and write ASCII: the first bytes tell, not the declaration.
function decodeText(bytes: Uint8Array): string {
  const [first, second] = bytes;
  const encoding =
    first === 0xff && second === 0xfe
      ? "utf-16le"
      : first === 0xfe && second === 0xff
        ? "utf-16be"
        : "utf-8";
  try {
    return new TextDecoder(encoding, { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new ImageError("IMAGE_CORRUPT", `the OVF descriptor is not ${encoding} text`, { cause });
  }
}

// Parsers and tree walkers recurse; a bound on the text keeps their stack bounded.
function refuseDepth(text: string): void {
  let depth = 0;
  for (const [tag] of text.matchAll(/<!--[\s\S]*?-->|<!\[CDATA\[[\s\S]*?\]\]>|<[/a-z_][^>]*>/gi)) {
    if (tag.startsWith("<!") || tag.endsWith("/>")) continue;
    depth += tag.startsWith("</") ? -1 : 1;
    if (depth > MAX_DEPTH) {
      throw new ImageError("IMAGE_UNSAFE", "the OVF descriptor is nested without end");
    }
  }
}
