import { NAMESPACE_FINALIZER } from "../api/namespace.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { isPolyvisorError, PolyvisorError } from "../util/errors.ts";

/**
 * Makes the namespace of a resource that is about to be created, unless it is there.
 *
 * @throws `POLYVISOR_REFUSED` for a namespace that is being deleted.
 */
export async function ensureNamespace(store: ResourceStore, name: string): Promise<void> {
  const found = await store.get("Namespace", { name });
  if (found?.metadata.deletionTimestamp !== undefined) {
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `unable to create new content in namespace ${name} because it is being terminated: wait until it is gone`,
    );
  }
  if (found !== undefined) return;
  try {
    await store.create("Namespace", {
      apiVersion: "v1",
      kind: "Namespace",
      metadata: { name, finalizers: [NAMESPACE_FINALIZER] },
      spec: {},
    });
  } catch (error) {
    if (!isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) throw error;
  }
}
