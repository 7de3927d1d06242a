import { keyOf } from "../api/meta.ts";
import type { AnyVirtualImage } from "../api/virtual-image.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { holdsDisks } from "./disk-users.ts";
import type { Caches } from "./runtime/caches.ts";

/** Names the VMs and attachments that name an image: an index of their caches, by {@link imageKey}. */
const USERS_BY_IMAGE = "image";

/** `Kind/key`. */
export function imageKey(image: AnyVirtualImage): string {
  return `${image.kind}/${keyOf(image.metadata)}`;
}

/** Who uses an image as a block device. */
export interface ImageUsers {
  /** True when any VM or attachment names it, running or not. */
  readonly wanted: boolean;
  /** VMs that have, or may have, a guest with it, as `namespace/name`. */
  readonly running: readonly string[];
}

/** To be called before the caches follow the store. */
export function indexImageUsers(caches: Caches): void {
  caches.of("VirtualMachine").addIndex(USERS_BY_IMAGE, machineImages);
  caches
    .of("VirtualMachineBlockDeviceAttachment")
    .addIndex(USERS_BY_IMAGE, ({ spec, metadata }) =>
      deviceKey(spec.blockDeviceRef, metadata.namespace),
    );
}

function deviceKey(
  { kind, name }: { readonly kind: string; readonly name: string },
  namespace: string | undefined,
): string[] {
  if (kind === "ClusterVirtualImage") return [`${kind}/${name}`];
  return kind === "VirtualImage" ? [`${kind}/${namespace}/${name}`] : [];
}

/** The images that a VM names, and those that its guest was built with. */
export function machineImages({ spec, status, metadata }: VirtualMachine): string[] {
  const applied = status?.guest?.appliedSpec?.blockDeviceRefs ?? [];
  const attached = status?.blockDeviceRefs ?? [];
  const refs = [...spec.blockDeviceRefs, ...applied, ...attached];
  return [...new Set(refs.flatMap((ref) => deviceKey(ref, metadata.namespace)))];
}

export function imageUsers(image: AnyVirtualImage, caches: Caches): ImageUsers {
  const key = imageKey(image);
  const machines = caches.of("VirtualMachine").findBy(USERS_BY_IMAGE, key);
  const attachments = caches.of("VirtualMachineBlockDeviceAttachment").findBy(USERS_BY_IMAGE, key);
  const running = machines.filter(holdsDisks).map(({ metadata }) => keyOf(metadata));
  return { wanted: machines.length + attachments.length > 0, running: running.sort() };
}
