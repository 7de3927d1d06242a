import type { ConditionInput } from "../api/conditions.ts";
import { findCondition } from "../api/conditions.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { Storage } from "../backend/storage.ts";
import { condition } from "../machine/machine-conditions.ts";
import { deviceName } from "../machine/guest-devices.ts";
import { decideResize } from "../storage/disk-size.ts";
import { messageOf } from "../util/errors.ts";
import { formatBytes, parseQuantity } from "../util/quantity.ts";
import type { ControllerContext } from "./controller-context.ts";
import { type DiskOutcome, EMPTY_DISK } from "./disk-status.ts";
import { LossWatch } from "./loss-watch.ts";
import { snapshotsBeingTakenOf } from "./snapshot-index.ts";
import { findVolumeClass } from "./volume-class.ts";
import { volumeName } from "./volume-names.ts";

/** A disk, and when to look at it again at the latest, in milliseconds. */
type KeptDisk = DiskOutcome & { readonly requeueAfter?: number };

/** How soon a disk is expanded again that could not be, in milliseconds. */
const RETRY = 10_000;

/** Looks after disks that are there: lets them grow, and finds out when their volume is gone. */
export class DiskKeeper {
  readonly #context: ControllerContext;
  readonly #losses: LossWatch;

  constructor(context: ControllerContext) {
    this.#context = context;
    this.#losses = new LossWatch(context.clock);
  }

  /** How often a disk is to be looked at, in milliseconds. */
  get interval(): number {
    return this.#losses.interval;
  }

  forget(key: string): void {
    this.#losses.forget(key);
  }

  async look(key: string, disk: VirtualDisk, signal: AbortSignal): Promise<KeptDisk> {
    const { conditions: before, observedGeneration: _, ...status } = disk.status ?? EMPTY_DISK;
    const wish = {
      wanted: status.storageClassName,
      section: "virtualDisks",
      annotations: disk.metadata.annotations,
    } as const;
    const volumeClass = await findVolumeClass(wish, this.#context, signal);
    const { found } = volumeClass;
    const kept = ["DatasourceReady", "StorageClassReady"].flatMap(
      (type) => findCondition(before, type) ?? [],
    );
    const name = volumeName(disk);
    const wasThere = status.phase !== "PVCLost";
    const isThere =
      (await this.#losses.check(key, async () => {
        const storage = found?.storage;
        return storage === undefined || (await storage.getVolume(name, signal)) !== undefined;
      })) ?? wasThere;
    if (!isThere) {
      const message = `The volume "${name}" of the disk is gone from its storage: bring it back, or delete the disk and create it anew.`;
      return {
        status: { ...status, phase: "PVCLost" },
        conditions: [...kept, condition("Ready", "False", "PVCLost", message)],
      };
    }
    const ready = [...kept, condition("Ready", "True", "Ready")];
    const decision = decideResize({
      wanted: disk.spec.persistentVolumeClaim?.size,
      capacityBytes: parseQuantity(status.capacity ?? "0"),
      storageClassReady: found !== undefined,
      expandable: found?.expandable ?? false,
      storageClassName: status.storageClassName ?? "",
      snapshotting: snapshotsBeingTakenOf(disk, this.#context.caches).length > 0,
      migrating: false,
    });
    switch (decision.action) {
      case "none":
        return { status: { ...status, phase: "Ready" }, conditions: ready };
      case "wait": {
        const waiting = condition("Resizing", "False", "NotAvailable", decision.message);
        this.#tellOnce(disk, "VirtualDiskResizingNotAvailable", decision.message, "NotAvailable");
        return { status: { ...status, phase: "Ready" }, conditions: [...ready, waiting] };
      }
      case "grow": {
        const { bytes } = decision;
        const progress = condition(
          "Resizing",
          "True",
          "InProgress",
          `The disk grows to ${formatBytes(bytes)}.`,
        );
        if (status.phase !== "Resizing") {
          // Said first, so that nothing else is begun with the disk meanwhile.
          this.#tell(
            disk,
            "VirtualDiskResizingStarted",
            `The disk grows to ${formatBytes(bytes)}.`,
          );
          return { status: { ...status, phase: "Resizing" }, conditions: [...ready, progress] };
        }
        return this.#grow(disk, found?.storage, bytes, { status, conditions: ready }, signal);
      }
    }
  }

  async #grow(
    disk: VirtualDisk,
    storage: Storage | undefined,
    bytes: number,
    { status, conditions }: DiskOutcome,
    signal: AbortSignal,
  ): Promise<KeptDisk> {
    try {
      const volume = await storage?.expansion?.expand(volumeName(disk), bytes, signal);
      if (volume === undefined) throw new TypeError("the storage cannot expand volumes");
      await this.#tellGuest(disk, volume.sizeBytes, signal);
      const capacity = formatBytes(volume.sizeBytes);
      this.#tell(disk, "VirtualDiskResizingCompleted", `The disk has grown to ${capacity}.`);
      return { status: { ...status, phase: "Ready", capacity }, conditions };
    } catch (error) {
      const message = `${messageOf(error)} (trying again)`;
      this.#tell(disk, "VirtualDiskResizingFailed", message, "Warning");
      const progress = condition("Resizing", "True", "InProgress", message);
      return { status, conditions: [...conditions, progress], requeueAfter: RETRY };
    }
  }

  /** A running guest sees the new size at once. */
  async #tellGuest(disk: VirtualDisk, sizeBytes: number, signal: AbortSignal): Promise<void> {
    const { caches, fleet } = this.#context;
    const { name, namespace } = disk.metadata;
    const holder = disk.status?.attachedToVirtualMachines?.find(({ mounted }) => mounted)?.name;
    const vm =
      holder === undefined ? undefined : caches.of("VirtualMachine").get(`${namespace}/${holder}`);
    const guest = vm && fleet.observe(vm.metadata.uid, vm.status?.guest);
    if (vm === undefined || guest?.state !== "present" || guest.guest.host === undefined) return;
    if (guest.guest.power === "stopped") return;
    const { incarnation, host, uid } = guest.guest;
    const { hotplug } = fleet.memberOf(host).hypervisor;
    await hotplug?.resizeDisk(
      { uid, incarnation },
      host,
      deviceName({ kind: "VirtualDisk", name }),
      sizeBytes,
      signal,
    );
  }

  #tell(
    disk: VirtualDisk,
    reason: string,
    message: string,
    type: "Normal" | "Warning" = "Normal",
  ): void {
    this.#context.events.record(disk, { reason, message, type });
  }

  #tellOnce(disk: VirtualDisk, reason: string, message: string, saidBy: string): void {
    const before: ConditionInput | undefined = findCondition(disk.status?.conditions, "Resizing");
    if (before?.reason !== saidBy) this.#tell(disk, reason, message, "Warning");
  }
}
