import type { Element } from "@xmldom/xmldom";
import { attributeOf, childAt, childrenOf } from "../xml/parse-xml.ts";
import { renderXml } from "../xml/render-xml.ts";

/** A fact about a guest that libvirt does not keep by itself, as an element in the metadata of its domain. */
export interface DomainNote {
  /** Namespace of the element: a domain has one element of each. */
  readonly uri: string;
  readonly prefix: string;
  readonly xml: string;
}

const ENDED = { uri: "https://polyvisor.dev/xmlns/libvirt/ended/1", prefix: "polyvisor-ended" };
const FROZEN = { uri: "https://polyvisor.dev/xmlns/libvirt/frozen/1", prefix: "polyvisor-frozen" };

/** That an incarnation has ended because the guest asked for a reboot: libvirt takes that for a shutdown. */
export function resetNote(incarnation: number): DomainNote {
  const xml = renderXml(["guest", { incarnation, reason: "guest-reset" }]);
  return { ...ENDED, xml };
}

/** True when the incarnation has left a {@link resetNote}. */
export function hasResetNote(domain: Element, incarnation: number): boolean {
  const note = noteOf(domain, ENDED.uri);
  return (
    Number(attributeOf(note, "incarnation")) === incarnation &&
    attributeOf(note, "reason") === "guest-reset"
  );
}

/** Where the {@link frozenNote} of a domain is. */
export const FROZEN_NOTE: Omit<DomainNote, "xml"> = FROZEN;

/** That the guest's file systems are at rest, and until when. */
export function frozenNote(until: Date): DomainNote {
  return { ...FROZEN, xml: renderXml(["guest", { until: until.toISOString() }]) };
}

/** Until when the guest's file systems are to be at rest; `undefined` when they are not. */
export function frozenUntil(domain: Element): Date | undefined {
  const until = new Date(attributeOf(noteOf(domain, FROZEN.uri), "until") ?? "");
  return Number.isNaN(until.getTime()) ? undefined : until;
}

function noteOf(domain: Element, uri: string): Element | undefined {
  return childrenOf(childAt(domain, "metadata"), "guest").find(
    (element) => element.namespaceURI === uri,
  );
}
