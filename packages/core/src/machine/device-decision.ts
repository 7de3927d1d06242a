import type { GuestDevice } from "../api/virtual-machine-status.ts";
import type { BlockDeviceRef } from "../api/virtual-machine.ts";
import { isSameDevice } from "./configuration-changes.ts";

/** A wish to have a device in the running guest. */
export interface DeviceWish extends Pick<BlockDeviceRef, "kind" | "name"> {
  /** The VirtualMachineBlockDeviceAttachment; absent when the VM's spec names the device. */
  readonly attachment?: string;
}

/** What is to be done with the devices of a running guest. */
export type DeviceAction =
  | { readonly type: "plug"; readonly wish: DeviceWish }
  | { readonly type: "unplug"; readonly device: GuestDevice }
  /** It could not be plugged in, and is no longer wanted. */
  | { readonly type: "forget"; readonly device: GuestDevice };

/** Most block devices of a VM. */
export const MOST_DEVICES = 16;

/** What the devices of a guest depend on. */
export interface DeviceInputs {
  readonly devices: readonly GuestDevice[];
  /** What the VM's spec names, as far as it takes effect on the running guest. */
  readonly refs: readonly BlockDeviceRef[];
  /** Those that are wanted, the oldest first. */
  readonly attachments: readonly DeviceWish[];
}

/** Decides what is to be plugged in and out. What the spec names comes before attachments, and going before coming. */
export function decideDevices({ devices, refs, attachments }: DeviceInputs): DeviceAction[] {
  const wishes: DeviceWish[] = [
    ...refs.map(({ kind, name }) => ({ kind, name })),
    ...attachments.filter((wish) => !refs.some((ref) => isSameDevice(ref, wish))),
  ];
  const wishFor = (device: GuestDevice): DeviceWish | undefined =>
    wishes.find((wish) => isSameDevice(wish, device));
  const going = devices.flatMap((device): DeviceAction[] => {
    const isWanted = device.state !== "Detaching" && wishFor(device) !== undefined;
    if (isWanted) return [];
    return [{ type: device.state === "Waiting" ? "forget" : "unplug", device }];
  });
  const kept = devices.filter(
    (device) => device.state === "Attached" && wishFor(device) !== undefined,
  );
  const coming = wishes.filter(
    (wish) => !kept.some((device) => isSameDevice(device, wish)) && !isGoing(devices, wish),
  );
  const room = Math.max(MOST_DEVICES - kept.length - going.length, 0);
  return [...going, ...coming.slice(0, room).map((wish): DeviceAction => ({ type: "plug", wish }))];
}

/** A device that is being unplugged comes back only when it is gone. */
function isGoing(devices: readonly GuestDevice[], wish: DeviceWish): boolean {
  return devices.some((device) => device.state === "Detaching" && isSameDevice(device, wish));
}
