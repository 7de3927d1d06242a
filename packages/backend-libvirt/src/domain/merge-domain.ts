import { type Element, XMLSerializer } from "@xmldom/xmldom";
import { childAt, parseXml } from "../xml/parse-xml.ts";

const OUR_NAMESPACES = "https://polyvisor.dev/";

/** Elements that a domain has from its spec, or not at all: an old one does not outlive the spec that it came from. */
const OURS: Readonly<Record<string, readonly string[]>> = {
  "": [
    "name",
    "uuid",
    "metadata",
    "memory",
    "currentMemory",
    "vcpu",
    "cputune",
    "os",
    "features",
    "cpu",
    "clock",
    "on_poweroff",
    "on_reboot",
    "on_crash",
    "devices",
  ],
  metadata: ["guest"],
  features: ["acpi", "apic", "hyperv", "smm"],
  devices: [
    "emulator",
    "disk",
    "controller",
    "interface",
    "serial",
    "console",
    "channel",
    "input",
    "tpm",
    "graphics",
    "audio",
    "video",
    "rng",
    "watchdog",
    "panic",
    "memballoon",
  ],
};

/**
 * The XML of a domain that is defined anew: all that `next` says, and of `previous` everything that this backend has no
 * word for, such as a host device or a namespace of another program.
 */
export function mergeDomain(previous: string, next: string): string {
  const from = parseXml(previous);
  const to = parseXml(next);
  for (const [path, ours] of Object.entries(OURS)) {
    const source = path === "" ? from : childAt(from, path);
    const target = path === "" ? to : childAt(to, path);
    if (source && target) keepOthers(source, target, new Set(ours));
  }
  return new XMLSerializer().serializeToString(to, { requireWellFormed: true });
}

function keepOthers(source: Element, target: Element, ours: ReadonlySet<string>): void {
  for (const child of Array.from(source.childNodes)) {
    if (child.nodeType !== child.ELEMENT_NODE) continue;
    const element = child as Element;
    if (isOurs(element, ours)) continue;
    target.appendChild(target.ownerDocument!.importNode(element, true));
  }
}

/** Elements of other namespaces are never ours, whatever their name; in the metadata, all are of some namespace. */
function isOurs(element: Element, ours: ReadonlySet<string>): boolean {
  if (!ours.has(element.localName ?? "")) return false;
  return element.namespaceURI === null || element.namespaceURI.startsWith(OUR_NAMESPACES);
}
