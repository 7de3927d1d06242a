import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { Storage } from "../backend/storage.ts";
import { type DeviceFacts, deviceSerial } from "../machine/guest-devices.ts";
import { PolyvisorError } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { imageVolume } from "./image-device-volumes.ts";
import { volumeName } from "./volume-names.ts";

/** The volume behind a block device. */
export interface DeviceVolume extends DeviceFacts {
  readonly volume: string;
  readonly storage: Storage;
  /** Absent for images: they belong to nobody. */
  readonly disk?: VirtualDisk;
}

/** A volume of which it is known where it can be used. */
export interface VolumeOfDevice extends DeviceVolume {
  /** Absent when every host reaches it. */
  readonly hosts?: readonly string[];
  /** True when several hosts can have it at once. */
  readonly shared: boolean;
}

/**
 * The volume behind a disk.
 *
 * @throws `POLYVISOR_UNAVAILABLE` when the storage of the disk cannot be found.
 */
export function diskVolume(disk: VirtualDisk, context: ControllerContext): DeviceVolume {
  return {
    kind: "VirtualDisk",
    name: disk.metadata.name,
    volume: volumeName(disk),
    storage: storageOf(disk, context),
    serial: deviceSerial(disk.metadata.uid),
    device: "disk",
    readOnly: false,
    disk,
  };
}

/** Finds out where volumes can be used. */
export async function locateVolumes(
  devices: readonly DeviceVolume[],
  signal: AbortSignal,
): Promise<{ readonly volumes: readonly VolumeOfDevice[] } | { readonly problem: string }> {
  const volumes: VolumeOfDevice[] = [];
  for (const device of devices) {
    const state = await device.storage.getVolume(device.volume, signal);
    if (state === undefined) {
      return {
        problem: `The volume of ${device.kind} "${device.name}" is gone: restore it or create another disk.`,
      };
    }
    const { hosts, use } = state;
    volumes.push({
      ...device,
      ...(hosts && { hosts }),
      shared: use.accessMode === "ReadWriteMany",
    });
  }
  return { volumes };
}

/**
 * The volume behind an image, or what it waits for.
 *
 * @param key Of the image in its kind.
 */
export function imageDeviceVolume(
  kind: "VirtualImage" | "ClusterVirtualImage",
  key: string,
  context: ControllerContext,
): { readonly volume: DeviceVolume } | { readonly problem: string } {
  const image = context.caches.of(kind).get(key);
  const found = imageVolume(context, kind, image);
  if ("waiting" in found) return { problem: found.waiting };
  const storage = context.storages.find(found.storageName);
  if (image === undefined || storage === undefined)
    return { problem: `storage "${found.storageName}" is not configured: add its backend again.` };
  return {
    volume: {
      kind,
      name: image.metadata.name,
      volume: found.volume,
      storage,
      serial: deviceSerial(image.metadata.uid),
      device: found.cdrom ? "cdrom" : "disk",
      readOnly: true,
    },
  };
}

function storageOf(disk: VirtualDisk, { caches, storages }: ControllerContext): Storage {
  const storageClass = caches.of("StorageClass").get(disk.status?.storageClassName ?? "");
  const storage = storageClass && storages.of(storageClass);
  if (storage) return storage;
  throw new PolyvisorError(
    "POLYVISOR_UNAVAILABLE",
    `StorageClass "${disk.status?.storageClassName}" of VirtualDisk "${disk.metadata.name}" is gone, so its storage cannot be found: create the class again`,
  );
}
