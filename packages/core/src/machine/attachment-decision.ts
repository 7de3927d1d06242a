import type { VirtualMachineBlockDeviceAttachment } from "../api/virtual-machine-block-device-attachment.ts";
import type { BlockDeviceRef } from "../api/virtual-machine.ts";
import { isSameDevice } from "./configuration-changes.ts";

/**
 * Why an attachment cannot be: a disk belongs to the VM's spec, or to the attachment that was there first; images are
 * for everybody. Source: DVP, "VMBDA".
 *
 * @param others Attachments of the same namespace, the oldest first.
 * @param refs What the spec of the VM names.
 */
export function attachmentConflict(
  { metadata, spec }: VirtualMachineBlockDeviceAttachment,
  others: readonly VirtualMachineBlockDeviceAttachment[],
  refs: readonly BlockDeviceRef[],
): string | undefined {
  const { blockDeviceRef: device, virtualMachineName } = spec;
  const described = `${device.kind} "${device.name}"`;
  if (refs.some((ref) => isSameDevice(ref, device)))
    return `${described} is named by the spec of VirtualMachine "${virtualMachineName}" already: delete this attachment.`;
  const isSameWish = (other: VirtualMachineBlockDeviceAttachment): boolean =>
    isSameDevice(other.spec.blockDeviceRef, device) &&
    (device.kind === "VirtualDisk" || other.spec.virtualMachineName === virtualMachineName);
  const first = others.find(isSameWish);
  if (first === undefined || first.metadata.uid === metadata.uid) return undefined;
  const { name, namespace } = first.metadata;
  return `another VirtualMachineBlockDeviceAttachment ${namespace}/${name} already exists with the same block device ${device.name} for hot-plugging`;
}
