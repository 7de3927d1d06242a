import * as z from "zod";
import { jsonEquals } from "../util/json.ts";
import { blockDeviceLimitMessage, MOST_BLOCK_DEVICES } from "./block-device-admission.ts";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty } from "./fields.ts";
import type { AdmissionContext, AdmissionIssue, KindDefinition } from "./kind.ts";
import { keyOf, type Resource, V1ALPHA2 } from "./meta.ts";
import { blockDeviceKindSchema } from "./virtual-machine-schema.ts";
import type { BlockDeviceKind, VirtualMachine } from "./virtual-machine.ts";

/** Attaches a disk or an image to a running VM for as long as it exists. */
export interface VirtualMachineBlockDeviceAttachment extends Resource {
  readonly kind: "VirtualMachineBlockDeviceAttachment";
  readonly spec: VirtualMachineBlockDeviceAttachmentSpec;
  readonly status?: VirtualMachineBlockDeviceAttachmentStatus;
}

/** What a user wants of a {@link VirtualMachineBlockDeviceAttachment}. */
export interface VirtualMachineBlockDeviceAttachmentSpec {
  readonly virtualMachineName: string;
  readonly blockDeviceRef: { readonly kind: BlockDeviceKind; readonly name: string };
}

/** What a user writes of a {@link VirtualMachineBlockDeviceAttachment}. */
export interface VirtualMachineBlockDeviceAttachmentInput {
  readonly spec: VirtualMachineBlockDeviceAttachmentSpec;
}

/** What is known about a {@link VirtualMachineBlockDeviceAttachment}. */
export interface VirtualMachineBlockDeviceAttachmentStatus {
  readonly phase: "Pending" | "InProgress" | "Attached" | "Failed" | "Terminating";
  readonly virtualMachineName?: string;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

async function admitAttachment(
  next: VirtualMachineBlockDeviceAttachment,
  context: AdmissionContext<VirtualMachineBlockDeviceAttachment>,
): Promise<AdmissionIssue[]> {
  const { previous } = context;
  if (previous !== undefined) {
    if (jsonEquals(previous.spec, next.spec)) return [];
    return [
      {
        field: "spec",
        message:
          "VirtualMachineBlockDeviceAttachment is an idempotent resource: specification changes are not available",
      },
    ];
  }
  const { namespace = "" } = next.metadata;
  const { virtualMachineName, blockDeviceRef } = next.spec;
  const vm = await context.get("VirtualMachine", { name: virtualMachineName, namespace });
  const attachments = await context.list("VirtualMachineBlockDeviceAttachment", namespace);
  return [
    ...admitOnce(blockDeviceRef, attachments),
    ...(vm ? admitToMachine(vm, attachments) : []),
  ];
}

/** A disk is attached once; images may be attached to any number of VMs. */
function admitOnce(
  { kind, name }: VirtualMachineBlockDeviceAttachmentSpec["blockDeviceRef"],
  attachments: readonly VirtualMachineBlockDeviceAttachment[],
): AdmissionIssue[] {
  const other = attachments.find(
    ({ spec: { blockDeviceRef: ref } }) =>
      kind === "VirtualDisk" && ref.kind === kind && ref.name === name,
  );
  if (other === undefined) return [];
  return [
    {
      field: "spec.blockDeviceRef",
      message: `another VirtualMachineBlockDeviceAttachment ${keyOf(other.metadata)} already exists with the same block device ${name} for hot-plugging`,
    },
  ];
}

function admitToMachine(
  { metadata: { name }, spec }: VirtualMachine,
  attachments: readonly VirtualMachineBlockDeviceAttachment[],
): AdmissionIssue[] {
  const field = "spec.virtualMachineName";
  const issues: AdmissionIssue[] = [];
  if (spec.osType === "Legacy" && !spec.enableParavirtualization) {
    issues.push({
      field,
      message: `VirtualMachine "${name}" has the Legacy osType and enableParavirtualization=false: block devices cannot be attached while it runs`,
    });
  }
  const mine = attachments.filter(
    (attachment) =>
      attachment.spec.virtualMachineName === name &&
      attachment.metadata.deletionTimestamp === undefined,
  );
  const count = spec.blockDeviceRefs.length + mine.length + 1;
  if (count > MOST_BLOCK_DEVICES) {
    issues.push({ field, message: blockDeviceLimitMessage(name, count) });
  }
  return issues;
}

/** The kind {@link VirtualMachineBlockDeviceAttachment}. */
export const VIRTUAL_MACHINE_BLOCK_DEVICE_ATTACHMENT: KindDefinition<
  VirtualMachineBlockDeviceAttachment,
  VirtualMachineBlockDeviceAttachmentInput
> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachineBlockDeviceAttachment",
  plural: "virtualmachineblockdeviceattachments",
  shortNames: ["vmbda"],
  categories: ["virtualization"],
  namespaced: true,
  schema: z.strictObject({
    spec: z.strictObject({
      virtualMachineName: nonEmpty,
      blockDeviceRef: z.strictObject({ kind: blockDeviceKindSchema, name: nonEmpty }),
    }),
  }),
  admit: admitAttachment,
  columns: [
    phaseColumn("PHASE"),
    {
      name: "BLOCKDEVICE KIND",
      value: ({ spec }) => spec.blockDeviceRef.kind,
      wide: true,
    },
    {
      name: "BLOCKDEVICE NAME",
      value: ({ spec }) => spec.blockDeviceRef.name,
      wide: true,
    },
    { name: "VIRTUALMACHINE", value: ({ status }) => status?.virtualMachineName },
  ],
};
