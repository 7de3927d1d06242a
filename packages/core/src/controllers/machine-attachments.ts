import { keyOf } from "../api/meta.ts";
import type { VirtualMachineBlockDeviceAttachment } from "../api/virtual-machine-block-device-attachment.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { attachmentConflict } from "../machine/attachment-decision.ts";
import type { DeviceWish } from "../machine/device-decision.ts";
import type { ControllerContext } from "./controller-context.ts";

/** Names the attachments of a VM: an index of the cache of attachments. */
export const ATTACHMENTS_BY_MACHINE = "machine";

/** Names the attachments of a block device, as {@link deviceKey} has it: an index of the cache of attachments. */
export const ATTACHMENTS_BY_DEVICE = "device";

/** Names a block device among all: `Kind/key`. */
export function deviceKey(kind: string, key: string): string {
  return `${kind}/${key}`;
}

/** To be called before the caches follow the store. */
export function indexAttachments({ caches }: ControllerContext): void {
  const attachments = caches.of("VirtualMachineBlockDeviceAttachment");
  attachments.addIndex(ATTACHMENTS_BY_MACHINE, ({ metadata, spec }) => [
    `${metadata.namespace}/${spec.virtualMachineName}`,
  ]);
  attachments.addIndex(ATTACHMENTS_BY_DEVICE, ({ metadata, spec: { blockDeviceRef } }) => {
    const { kind, name } = blockDeviceRef;
    const isOfCluster = kind === "ClusterVirtualImage";
    return [deviceKey(kind, isOfCluster ? name : `${metadata.namespace}/${name}`)];
  });
}

/** What attachments want in the running guest of a VM, the oldest first. Those in a conflict want nothing. */
export function attachmentWishes(vm: VirtualMachine, context: ControllerContext): DeviceWish[] {
  const all = attachmentsOf(vm, context);
  return all
    .filter(
      (one) =>
        one.metadata.deletionTimestamp === undefined &&
        attachmentConflict(one, all, vm.spec.blockDeviceRefs) === undefined,
    )
    .map(({ metadata, spec }) => ({ ...spec.blockDeviceRef, attachment: metadata.name }));
}

/** The attachments that name a VM, the oldest first. */
export function attachmentsOf(
  { metadata }: VirtualMachine,
  { caches }: ControllerContext,
): VirtualMachineBlockDeviceAttachment[] {
  return caches
    .of("VirtualMachineBlockDeviceAttachment")
    .findBy(ATTACHMENTS_BY_MACHINE, keyOf(metadata))
    .toSorted((a, b) => (orderOf(a) < orderOf(b) ? -1 : 1));
}

function orderOf({ metadata }: VirtualMachineBlockDeviceAttachment): string {
  return `${metadata.creationTimestamp} ${metadata.name}`;
}
