import type { Element } from "@xmldom/xmldom";
import { attributeOf, childAt, childrenOf } from "../xml/parse-xml.ts";
import type { XmlNode } from "../xml/render-xml.ts";

/** The namespace of our element about migrations in the metadata of a domain. */
export const MIGRATION_NAMESPACE = "https://polyvisor.dev/xmlns/libvirt/migration/1";

/** The prefix of that namespace. */
export const MIGRATION_PREFIX = "polyvisor-migration";

/** How a migration ended that did not get the guest to the target. */
type MigrationEnd = "failed" | "cancelled";

/**
 * What we write into the metadata of a domain about its last migration, on both hosts: by this it is known after a
 * restart of the manager which migration it was and which of two domains is the guest.
 */
export interface MigrationMark {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  /** On the source only. */
  readonly end?: MigrationEnd;
  readonly message?: string;
  /** True on the target when nothing of the guest is left on the source. */
  readonly settled: boolean;
  /** Names of the volumes that were copied to the target with the guest, each after its class: `local/vd-1`. */
  readonly copied: readonly string[];
}

/** The mark as an element of `<metadata>`. */
export function migrationElement(mark: MigrationMark, prefix?: string): XmlNode {
  const { id, source, target, end, message, settled, copied } = mark;
  const name = prefix === undefined ? "migration" : `${prefix}:migration`;
  const namespace = prefix === undefined ? {} : { [`xmlns:${prefix}`]: MIGRATION_NAMESPACE };
  return [
    name,
    {
      ...namespace,
      id,
      source,
      target,
      end,
      message,
      settled: settled ? "yes" : undefined,
      copied: copied.length > 0 ? copied.join(" ") : undefined,
    },
  ];
}

/** The mark of a domain; `undefined` for one that was not migrated since its start. */
export function readMigrationMark(domain: Element): MigrationMark | undefined {
  const element = childrenOf(childAt(domain, "metadata"), "migration").find(
    ({ namespaceURI }) => namespaceURI === MIGRATION_NAMESPACE,
  );
  const id = attributeOf(element, "id");
  const source = attributeOf(element, "source");
  const target = attributeOf(element, "target");
  if (id === undefined || source === undefined || target === undefined) return undefined;
  const end = attributeOf(element, "end");
  const message = attributeOf(element, "message");
  return {
    id,
    source,
    target,
    ...((end === "failed" || end === "cancelled") && { end }),
    ...(message !== undefined && { message }),
    settled: attributeOf(element, "settled") === "yes",
    copied: (attributeOf(element, "copied") ?? "").split(" ").filter(Boolean),
  };
}
