import type { DataSource } from "../api/data-source.ts";
import { keyOf } from "../api/meta.ts";
import type { Caches } from "./runtime/caches.ts";

/** Names disks and images by the object that they are made of, as `Kind/key`: an index of their caches. */
export const BY_SOURCE = "source";

/** To be called before the caches follow the store. */
export function indexSources(caches: Caches): void {
  caches.of("VirtualDisk").addIndex(BY_SOURCE, sourceKeys);
  caches.of("VirtualImage").addIndex(BY_SOURCE, sourceKeys);
  caches.of("ClusterVirtualImage").addIndex(BY_SOURCE, sourceKeys);
}

function sourceKeys({
  spec,
  metadata,
}: {
  readonly spec: { readonly dataSource?: DataSource };
  readonly metadata: { readonly namespace?: string };
}): string[] {
  const ref = spec.dataSource?.objectRef;
  if (ref === undefined) return [];
  const { kind, name } = ref;
  const namespace =
    kind === "ClusterVirtualImage" ? undefined : (ref.namespace ?? metadata.namespace);
  return [`${kind}/${keyOf({ name, ...(namespace !== undefined && { namespace }) })}`];
}
