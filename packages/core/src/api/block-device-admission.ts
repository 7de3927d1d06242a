import type { AdmissionContext, AdmissionIssue } from "./kind.ts";
import type { BlockDeviceRef, VirtualMachine } from "./virtual-machine.ts";

/** How many block devices a VM has at most. Source: DVP, block device limits. */
export const MOST_BLOCK_DEVICES = 16;

/** The broken rules of a list of block devices, as far as the list itself tells. */
export function admitBlockDeviceRefs(
  refs: readonly BlockDeviceRef[],
  field: string,
): AdmissionIssue[] {
  const issues: AdmissionIssue[] = [];
  const seen = new Set<string>();
  const orders = new Map<number, BlockDeviceRef>();
  refs.forEach((ref, index) => {
    const { kind, name, bootOrder } = ref;
    const where = `${field}[${index}]`;
    if (seen.has(`${kind}/${name}`)) {
      issues.push({
        field: where,
        message: `cannot specify the same block device reference more than once: ${kind} with name "${name}" has a duplicate reference`,
      });
    }
    seen.add(`${kind}/${name}`);
    if (bootOrder === undefined) return;
    if (bootOrder < 1) {
      issues.push({ field: where, message: `bootOrder must be >= 1, got ${bootOrder}` });
    }
    const other = orders.get(bootOrder);
    if (other === undefined) orders.set(bootOrder, ref);
    else {
      issues.push({
        field: where,
        message: `duplicate bootOrder ${bootOrder}: already used by ${other.kind} "${other.name}", conflicts with ${kind} "${name}"`,
      });
    }
  });
  return issues;
}

/** The message for a VM with too many block devices. */
export function blockDeviceLimitMessage(vmName: string, count: number): string {
  return `block device attached to VirtualMachine "${vmName}" limit reached: ${count} devices found, ${MOST_BLOCK_DEVICES} is maximum`;
}

/** The rules about block devices that need a look at other resources. */
export async function admitBlockDevicesOf(
  { metadata, spec }: VirtualMachine,
  context: AdmissionContext<VirtualMachine>,
): Promise<AdmissionIssue[]> {
  const field = "spec.blockDeviceRefs";
  const all = await context.list("VirtualMachineBlockDeviceAttachment", metadata.namespace);
  const attachments = all.filter(
    (attachment) =>
      attachment.spec.virtualMachineName === metadata.name &&
      attachment.metadata.deletionTimestamp === undefined,
  );
  const issues: AdmissionIssue[] = [];
  for (const {
    metadata: attachment,
    spec: { blockDeviceRef },
  } of attachments) {
    if (blockDeviceRef.kind !== "VirtualDisk") continue;
    const twice = spec.blockDeviceRefs.some(
      ({ kind, name }) => kind === "VirtualDisk" && name === blockDeviceRef.name,
    );
    if (!twice) continue;
    issues.push({
      field,
      message: `VirtualDisk "${blockDeviceRef.name}" is attached by VirtualMachineBlockDeviceAttachment "${attachment.name}" already: delete that first`,
    });
  }
  const count = spec.blockDeviceRefs.length + attachments.length;
  if (issues.length === 0 && count > MOST_BLOCK_DEVICES) {
    issues.push({ field, message: blockDeviceLimitMessage(metadata.name, count) });
  }
  const [first] = spec.blockDeviceRefs;
  if (first && (await isDiskImage(first, metadata.namespace, context))) {
    issues.push({
      field: `${field}[0]`,
      message: `a non-CDROM ${first.kind} cannot occupy the first position in block devices: ${first.kind} ${first.name} is not CDROM`,
    });
  }
  return issues;
}

/** True for an image that is known to be that of a disk, which a guest could not write to. */
async function isDiskImage(
  { kind, name }: BlockDeviceRef,
  namespace: string | undefined,
  context: AdmissionContext<VirtualMachine>,
): Promise<boolean> {
  if (kind === "VirtualDisk") return false;
  const where = kind === "VirtualImage" && namespace !== undefined ? { name, namespace } : { name };
  const status = (await context.get(kind, where))?.status;
  return status?.phase === "Ready" && status.cdrom === false;
}
