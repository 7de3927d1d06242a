import { createHash } from "node:crypto";
import type { BlockDeviceKind, BlockDeviceRef } from "../api/virtual-machine.ts";
import type { BlockSource } from "../backend/block-source.ts";
import type { GuestDisk } from "../backend/guest-spec.ts";
import { inBootOrder, isSameDevice } from "./configuration-changes.ts";

/** Names a block device of a VM. */
export interface DeviceName {
  readonly kind: BlockDeviceKind;
  readonly name: string;
}

/** A block device as a guest sees it. */
export interface DeviceFacts extends DeviceName {
  /** What the guest reads as serial number. */
  readonly serial: string;
  readonly device: "disk" | "cdrom";
  readonly readOnly: boolean;
}

const PREFIXES: Readonly<Record<BlockDeviceKind, string>> = {
  VirtualDisk: "vd",
  VirtualImage: "vi",
  ClusterVirtualImage: "cvi",
};

/** The name of a device within its guest, such as `vd-linux-disk`. */
export function deviceName({ kind, name }: DeviceName): string {
  return `${PREFIXES[kind]}-${name}`;
}

/** A serial number from a uid. Guests read at most 20 characters of one, so a uid does not fit. */
export function deviceSerial(uid: string): string {
  return createHash("sha256").update(uid).digest("hex").slice(0, 20);
}

/** A device as the port takes it. One that is not among `refs` is not booted from. */
export function guestDisk(
  device: DeviceFacts,
  source: BlockSource,
  refs: readonly BlockDeviceRef[],
): GuestDisk {
  const position = inBootOrder(refs).findIndex((ref) => isSameDevice(ref, device));
  return {
    name: deviceName(device),
    serial: device.serial,
    source,
    device: device.device,
    readOnly: device.readOnly,
    ...(position >= 0 && { bootOrder: position + 1 }),
  };
}
