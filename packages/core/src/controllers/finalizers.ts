import type { Kind, Kinds } from "../api/kinds.ts";
import { GROUP } from "../api/meta.ts";
import type { ResourceStore } from "../store/resource-store.ts";

/** Finalizers with which a kind gets to clean up what it has made. Source: DVP, finalizers. */
export const FINALIZERS: Readonly<
  Record<
    | "image"
    | "disk"
    | "machine"
    | "machineClass"
    | "operation"
    | "attachment"
    | "address"
    | "macAddress"
    | "diskSnapshot"
    | "machineSnapshot"
    | "restoration"
    | "snapshotOperation",
    string
  >
> = {
  image: `${GROUP}/vi-cleanup`,
  disk: `${GROUP}/vd-cleanup`,
  machine: `${GROUP}/vm-cleanup`,
  machineClass: `${GROUP}/vmclass-cleanup`,
  operation: `${GROUP}/vmop-protection-by-vm-controller`,
  attachment: `${GROUP}/vmbda-cleanup`,
  address: `${GROUP}/vmip-cleanup`,
  macAddress: `${GROUP}/vmmac-cleanup`,
  diskSnapshot: `${GROUP}/vdsnapshot-cleanup`,
  machineSnapshot: `${GROUP}/vmsnapshot-cleanup`,
  restoration: `${GROUP}/vmop-cleanup`,
  snapshotOperation: `${GROUP}/vmsop-cleanup`,
};

/** The resource with a finalizer that is stored before anything is made that needs cleaning up. */
export async function withFinalizer<K extends Kind>(
  store: ResourceStore,
  resource: Kinds[K] & { readonly kind: K },
  finalizer: string,
): Promise<Kinds[K]> {
  const { metadata } = resource;
  const finalizers = metadata.finalizers ?? [];
  if (finalizers.includes(finalizer)) return resource;
  return store.update<K>(resource.kind, {
    ...resource,
    metadata: { ...metadata, finalizers: [...finalizers, finalizer] },
  });
}

/** Gives up a finalizer: everything is cleaned up. */
export async function withoutFinalizer<K extends Kind>(
  store: ResourceStore,
  resource: Kinds[K] & { readonly kind: K },
  finalizer: string,
): Promise<void> {
  const { metadata } = resource;
  if (!metadata.finalizers?.includes(finalizer)) return;
  await store.update<K>(resource.kind, {
    ...resource,
    metadata: { ...metadata, finalizers: metadata.finalizers.filter((name) => name !== finalizer) },
  });
}
