import type { Element } from "@xmldom/xmldom";
import { attributeOf, childAt, childrenOf } from "../xml/parse-xml.ts";
import { renderXml, type XmlNode } from "../xml/render-xml.ts";

/** The namespace of our element in the metadata of a domain. */
const NAMESPACE = "https://polyvisor.dev/xmlns/libvirt/guest/1";

/** What we write into the metadata of a domain: by this a guest is known to be ours. */
export interface DomainMark {
  readonly incarnation: number;
  readonly namespace: string;
  readonly name: string;
}

/** The mark as an element of `<metadata>`. */
export function renderMark({ incarnation, namespace, name }: DomainMark): XmlNode {
  return ["polyvisor:guest", { "xmlns:polyvisor": NAMESPACE, incarnation, namespace, name }];
}

/** The mark of a domain; `undefined` for a guest that is not ours. */
export function readMark(domain: Element): DomainMark | undefined {
  const mark = childrenOf(childAt(domain, "metadata"), "guest").find(
    (element) => element.namespaceURI === NAMESPACE,
  );
  const incarnation = Number(attributeOf(mark, "incarnation"));
  const namespace = attributeOf(mark, "namespace");
  const name = attributeOf(mark, "name");
  if (!Number.isSafeInteger(incarnation) || namespace === undefined || name === undefined)
    return undefined;
  return { incarnation, namespace, name };
}

/** The mark for a domain that is there already: libvirt gives it the namespace. */
export function markNote({ incarnation, namespace, name }: DomainMark): {
  readonly uri: string;
  readonly prefix: string;
  readonly xml: string;
} {
  const xml = renderXml(["guest", { incarnation, namespace, name }]);
  return { uri: NAMESPACE, prefix: "polyvisor", xml };
}

/** The name of the domain of a VM. A namespace has no `_`, so two VMs never get the same. */
export function domainName({ namespace, name }: { namespace: string; name: string }): string {
  return `${namespace}_${name}`;
}
