import { GROUP, keyOf } from "../api/meta.ts";
import type { VirtualDisk, VirtualDiskStatus } from "../api/virtual-disk.ts";
import type { AnyVirtualImage } from "../api/virtual-image.ts";
import type { BlockDeviceRef, VirtualMachine } from "../api/virtual-machine.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { PolyvisorError } from "../util/errors.ts";
import type { Caches } from "./runtime/caches.ts";
import { BY_SOURCE } from "./source-index.ts";

/** Names the VMs that name a disk: an index of the cache of VMs. */
export const MACHINES_BY_DISK = "disk";

type DiskUser = NonNullable<VirtualDiskStatus["attachedToVirtualMachines"]>[number];

/** True while a VM has, or may have, a guest that uses its disks. */
export function holdsDisks(vm: VirtualMachine): boolean {
  const state = vm.status?.guest?.state;
  return state !== undefined && state !== "Stopped";
}

/**
 * True while a VM has, or may have, the disk: what it names now may differ from what its guest has, and what a guest had
 * is let go of only some time after its end.
 */
export function holdsDisk(vm: VirtualMachine, diskName: string): boolean {
  const { appliedSpec, devices } = vm.status?.guest ?? {};
  if (devices !== undefined)
    return devices.some((device) => device.state !== "Waiting" && isDisk(device, diskName));
  const refs = appliedSpec?.blockDeviceRefs;
  return holdsDisks(vm) && (refs === undefined || refs.some((ref) => isDisk(ref, diskName)));
}

function isDisk({ kind, name }: Pick<BlockDeviceRef, "kind" | "name">, diskName: string): boolean {
  return kind === "VirtualDisk" && name === diskName;
}

/** Keys of the disks that a VM names or has. */
export function disksOf({ metadata, spec, status }: VirtualMachine): string[] {
  const { appliedSpec, devices = [] } = status?.guest ?? {};
  const refs = [...spec.blockDeviceRefs, ...(appliedSpec?.blockDeviceRefs ?? []), ...devices];
  const names = refs.flatMap(({ kind, name }) => (kind === "VirtualDisk" ? [name] : []));
  return [...new Set(names)].map((name) => `${metadata.namespace}/${name}`);
}

/**
 * Who uses a disk: the VMs that name it, sorted, of which one at most holds it. The one that held it keeps it until it
 * has stopped.
 */
export async function diskUsers(
  disk: VirtualDisk,
  { caches, store }: { readonly caches: Caches; readonly store: ResourceStore },
): Promise<DiskUser[]> {
  const machines = caches.of("VirtualMachine").findBy(MACHINES_BY_DISK, keyOf(disk.metadata));
  const holder = await holderOf(store, disk);
  const names = new Set(machines.map(({ metadata }) => metadata.name));
  if (holder !== undefined) names.add(holder);
  return [...names].sort().map((name) => ({ name, mounted: name === holder }));
}

/** The VM that holds a disk. Read from the store: a cache may not know yet that the VM has begun to start. */
async function holderOf(store: ResourceStore, disk: VirtualDisk): Promise<string | undefined> {
  const name = disk.status?.attachedToVirtualMachines?.find(({ mounted }) => mounted)?.name;
  if (name === undefined) return undefined;
  const { namespace } = disk.metadata;
  const vm = await store.get("VirtualMachine", {
    name,
    ...(namespace !== undefined && { namespace }),
  });
  return vm !== undefined && holdsDisk(vm, disk.metadata.name) ? name : undefined;
}

/**
 * Makes a VM the holder of a disk. To be called when the VM's record already says that it is starting: a holder whose
 * guest is stopped loses its disks again.
 *
 * @throws `POLYVISOR_REFUSED` when another VM holds it or it is being deleted, `POLYVISOR_CONFLICT` when the disk changed meanwhile.
 */
export async function claimDisk(
  store: ResourceStore,
  disk: VirtualDisk,
  vm: VirtualMachine,
): Promise<void> {
  const { status } = disk;
  if (status === undefined) throw new TypeError("a disk without status cannot be claimed");
  const holder = await holderOf(store, disk);
  const { name } = vm.metadata;
  if (holder === name) return;
  if (disk.metadata.deletionTimestamp !== undefined) {
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `VirtualDisk "${disk.metadata.name}" is being deleted: name another disk`,
    );
  }
  const [image] = status.imageUsers ?? [];
  if (image !== undefined) {
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `VirtualDisk "${disk.metadata.name}" is being copied to ${image.split("/")[0]}: wait for that to end`,
    );
  }
  if (holder !== undefined) {
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `VirtualDisk "${disk.metadata.name}" is in use by VirtualMachine "${holder}": stop that VM or remove the disk from one of them`,
    );
  }
  const others = (status.attachedToVirtualMachines ?? [])
    .filter((user) => user.name !== name)
    .map((user) => ({ ...user, mounted: false }));
  const attachedToVirtualMachines = [...others, { name, mounted: true }];
  await store.updateStatus("VirtualDisk", {
    ...disk,
    status: { ...status, attachedToVirtualMachines },
  });
}

/** How an image is named among the `imageUsers` of a disk. */
function imageUser({ kind, metadata }: AnyVirtualImage): string {
  return `${kind}/${metadata.uid}`;
}

/**
 * Keeps VMs away from a disk while an image is being made of it. To be called when the image's status already says that
 * it is being made: images that are not lose the disk again.
 *
 * @throws `POLYVISOR_REFUSED` when a VM holds it, `POLYVISOR_CONFLICT` when the disk changed meanwhile.
 */
export async function claimDiskForImage(
  store: ResourceStore,
  known: VirtualDisk,
  image: AnyVirtualImage,
): Promise<void> {
  const disk = await store.get("VirtualDisk", known.metadata);
  if (disk?.status === undefined || disk.metadata.uid !== known.metadata.uid) {
    throw new PolyvisorError(
      "POLYVISOR_CONFLICT",
      `VirtualDisk "${known.metadata.name}" has been replaced`,
    );
  }
  const holder = await holderOf(store, disk);
  if (holder !== undefined) {
    throw new PolyvisorError(
      "POLYVISOR_UNAVAILABLE",
      `VirtualDisk "${disk.metadata.name}" is attached to the running VirtualMachine "${holder}": stop it or remove the disk from it`,
    );
  }
  const users = disk.status.imageUsers ?? [];
  if (users.includes(imageUser(image))) return;
  const imageUsers = [...users, imageUser(image)];
  await store.updateStatus("VirtualDisk", { ...disk, status: { ...disk.status, imageUsers } });
}

/** Images of those that use a disk which are still being made of it. */
export async function keptImageUsers(
  disk: VirtualDisk,
  { caches, store }: { readonly caches: Caches; readonly store: ResourceStore },
): Promise<string[]> {
  const users = disk.status?.imageUsers ?? [];
  if (users.length === 0) return [];
  const source = `VirtualDisk/${keyOf(disk.metadata)}`;
  const images = [
    ...caches.of("VirtualImage").findBy(BY_SOURCE, source),
    ...caches.of("ClusterVirtualImage").findBy(BY_SOURCE, source),
  ];
  const kept: string[] = [];
  for (const image of images) {
    // A cache may still show an image as being made, never the other way round for longer than it takes to look again.
    const fresh = await store.get(image.kind, image.metadata);
    if (fresh?.status?.phase === "Provisioning") kept.push(imageUser(fresh));
  }
  return users.filter((user) => kept.includes(user));
}

/** Says on which host the first VM of a disk will run. Source: Kubernetes, `volume.kubernetes.io/selected-node`. */
const SELECTED_NODE_ANNOTATION = `${GROUP}/selected-node`;

/** The host on which a disk that waits for its first VM is to be made; empty where a cluster chooses it by itself. */
export function selectedNode({ metadata }: VirtualDisk): string | undefined {
  return metadata.annotations?.[SELECTED_NODE_ANNOTATION];
}

/**
 * Chooses the host of a disk in phase `WaitForFirstConsumer`, which is then made so that this host reaches it. An
 * earlier choice stands while the disk is being made.
 */
export async function selectNode(
  store: ResourceStore,
  disk: VirtualDisk,
  /** Absent with a cluster that chooses hosts by itself: it brings the disk to where its first VM starts. */
  host: string | undefined,
): Promise<void> {
  const fresh = await store.get("VirtualDisk", disk.metadata);
  const chosen = host ?? "";
  if (fresh?.status?.phase !== "WaitForFirstConsumer" || selectedNode(fresh) === chosen) return;
  const annotations = { ...fresh.metadata.annotations, [SELECTED_NODE_ANNOTATION]: chosen };
  await store.update("VirtualDisk", { ...fresh, metadata: { ...fresh.metadata, annotations } });
}
