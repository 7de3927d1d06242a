import type { GuestDevice, GuestRecord } from "../api/virtual-machine-status.ts";
import type { BlockDeviceRef, VirtualMachine } from "../api/virtual-machine.ts";
import type { GuestRef } from "../backend/guest-spec.ts";
import type { Hotplug } from "../backend/hotplug.ts";
import { isSameDevice } from "../machine/configuration-changes.ts";
import { decideDevices, type DeviceWish } from "../machine/device-decision.ts";
import { deviceName, guestDisk } from "../machine/guest-devices.ts";
import { isPolyvisorError, messageOf } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { claimDisk, selectNode } from "./disk-users.ts";
import { findDevice } from "./machine-block-devices.ts";
import { storeRecord } from "./machine-record.ts";
import { type DeviceVolume, locateVolumes, type VolumeOfDevice } from "./machine-volumes.ts";
import type { VolumeAttachments } from "./volume-attachments.ts";

/** A VM whose guest runs. */
export interface RunningMachine {
  readonly vm: VirtualMachine;
  readonly record: GuestRecord;
}

interface Work extends RunningMachine {
  readonly host: string;
  readonly hotplug: Hotplug;
  readonly signal: AbortSignal;
}

/** Plugs devices into running guests, and out of them. */
export class MachineHotplug {
  readonly #context: ControllerContext;
  readonly #attachments: VolumeAttachments;

  constructor(context: ControllerContext, attachments: VolumeAttachments) {
    this.#context = context;
    this.#attachments = attachments;
  }

  /**
   * Brings the devices of a guest to what is wanted.
   *
   * @param refs What the VM's spec names, as far as it takes effect on the running guest.
   * @returns The VM and its record as they are stored then.
   */
  async bring(
    { vm, record }: RunningMachine,
    wanted: {
      readonly refs: readonly BlockDeviceRef[];
      readonly attachments: readonly DeviceWish[];
    },
    signal: AbortSignal,
  ): Promise<RunningMachine> {
    const { devices, host } = record;
    if (devices === undefined || host === undefined) return { vm, record };
    const actions = decideDevices({ devices, ...wanted });
    if (actions.length === 0) return { vm, record };
    const { hotplug } = this.#context.fleet.memberFor(record).hypervisor;
    if (hotplug === undefined) return { vm, record };
    let work: Work = { vm, record, host, hotplug, signal };
    for (const action of actions) {
      switch (action.type) {
        case "plug":
          work = await this.#plug(work, action.wish);
          break;
        case "unplug":
          work = await this.#unplug(work, action.device);
          break;
        case "forget":
          work = await this.#keep(work, action.device, undefined);
          break;
      }
    }
    return { vm: work.vm, record: work.record };
  }

  async #plug(work: Work, wish: DeviceWish): Promise<Work> {
    const { host, signal, hotplug } = work;
    const found = findDevice(work.vm, wish, this.#context);
    // What keeps a device from being used is told by whoever wants it.
    if ("awaitsHost" in found) await selectNode(this.#context.store, found.awaitsHost, host);
    if (!("volume" in found)) return work;
    const located = await locateVolumes([found.volume], signal);
    const [volume] = "volumes" in located ? located.volumes : [];
    if (volume === undefined) return work;
    const device = plugged(wish, volume);
    if (volume.hosts !== undefined && !volume.hosts.includes(host)) {
      const message = `The disk storage is not available on node "${host}" where the VirtualMachine is running.`;
      return this.#keep(work, device, { ...device, state: "Waiting", message });
    }
    // Stored first: a disk of the record belongs to this VM, and is let go of in the end whatever happens now.
    const begun = await this.#keep(work, device, device);
    try {
      await this.#claim(begun.vm, volume);
      const source = await this.#attachments.attach(volume, host, begun.vm.metadata.uid, signal);
      const guestRef = refOf(begun);
      await hotplug.attachDisk(guestRef, host, guestDisk(volume, source, []), signal);
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_REFUSED")) throw error;
      await this.#attachments.detach(device, host, begun.vm, signal);
      return this.#keep(begun, device, { ...device, state: "Waiting", message: messageOf(error) });
    }
    return this.#keep(begun, device, { ...device, state: "Attached" });
  }

  async #claim(vm: VirtualMachine, { disk }: DeviceVolume): Promise<void> {
    const { store } = this.#context;
    const fresh = disk && (await store.get("VirtualDisk", disk.metadata));
    if (fresh) await claimDisk(store, fresh, vm);
  }

  async #unplug(work: Work, device: GuestDevice): Promise<Work> {
    const { host, hotplug, signal } = work;
    const begun = await this.#keep(work, device, { ...device, state: "Detaching" });
    await hotplug.detachDisk(refOf(begun), host, deviceName(device), signal);
    await this.#attachments.detach(device, host, begun.vm, signal);
    return this.#keep(begun, device, undefined);
  }

  /** Stores a device of the record as it is now; `undefined` when it is gone. */
  async #keep(
    work: Work,
    { kind, name }: GuestDevice,
    next: GuestDevice | undefined,
  ): Promise<Work> {
    const others = (work.record.devices ?? []).filter((one) => !isSameDevice(one, { kind, name }));
    const devices = next === undefined ? others : [...others, next];
    const { vm, record } = await storeRecord(this.#context, work.vm, { ...work.record, devices });
    return { ...work, vm, record };
  }
}

function plugged({ attachment }: DeviceWish, volume: VolumeOfDevice): GuestDevice {
  const { kind, name, shared } = volume;
  return {
    kind,
    name,
    volume: volume.volume,
    state: "Attaching",
    shared,
    hotplugged: true,
    ...(attachment !== undefined && { attachment }),
  };
}

function refOf({ vm, record }: RunningMachine): GuestRef {
  return { uid: vm.metadata.uid, incarnation: record.incarnation };
}
