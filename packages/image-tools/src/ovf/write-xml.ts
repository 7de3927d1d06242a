import { ImageError } from "../image-error.ts";

/** A piece of XML that is complete in itself. */
export interface XmlNode {
  readonly xml: string;
}

const ENTITIES: Readonly<Record<string, string>> = {
  "&": "&amp;",
  "<": "&lt;",
  ">": "&gt;",
  '"': "&quot;",
  "\n": "&#10;",
  "\r": "&#13;",
  "\t": "&#9;",
};

/** Writes an element; attributes without a value are left out, texts are escaped. */
export function xmlElement(
  name: string,
  attributes: Readonly<Record<string, string | number | undefined>>,
  ...children: readonly (XmlNode | string)[]
): XmlNode {
  const start = Object.entries(attributes)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => ` ${key}="${escapeText(String(value))}"`)
    .join("");
  if (children.length === 0) return { xml: `<${name}${start}/>` };
  const isText = children.every((child) => typeof child === "string");
  const inner = children.map((child) =>
    typeof child === "string" ? escapeText(child) : child.xml.replace(/^/gm, "  "),
  );
  const content = isText ? inner.join("") : `\n${inner.join("\n")}\n`;
  return { xml: `<${name}${start}>${content}</${name}>` };
}

function escapeText(text: string): string {
  for (const character of text) {
    const code = character.codePointAt(0) as number;
    const isAllowed =
      code === 0x9 ||
      code === 0xa ||
      code === 0xd ||
      (code >= 0x20 && code <= 0xd7ff) ||
      (code >= 0xe000 && code <= 0xfffd) ||
      code >= 0x10000;
    if (!isAllowed) {
      throw new ImageError("IMAGE_INVALID_ARGUMENT", "a text has characters that XML cannot hold");
    }
  }
  return text.replaceAll(/[&<>"\n\r\t]/g, (character) => ENTITIES[character] as string);
}
