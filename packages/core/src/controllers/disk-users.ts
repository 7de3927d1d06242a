import { keyOf } from "../api/meta.ts";
import type { VirtualDisk, VirtualDiskStatus } from "../api/virtual-disk.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import { PolyvisorError } from "../util/errors.ts";
import type { Caches } from "./runtime/caches.ts";

/** Names the VMs that name a disk: an index of the cache of VMs. */
export const MACHINES_BY_DISK = "disk";

type DiskUser = NonNullable<VirtualDiskStatus["attachedToVirtualMachines"]>[number];

/** True while a VM has, or may have, a guest that uses its disks. */
export function holdsDisks(vm: VirtualMachine): boolean {
  const state = vm.status?.guest?.state;
  return state !== undefined && state !== "Stopped";
}

/** True while a VM has, or may have, a guest that uses the disk. What a VM names now may differ from what its guest has. */
export function holdsDisk(vm: VirtualMachine, diskName: string): boolean {
  const refs = vm.status?.guest?.appliedSpec?.blockDeviceRefs;
  return holdsDisks(vm) && (refs === undefined || refs.some(({ name }) => name === diskName));
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
