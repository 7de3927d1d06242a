import * as z from "zod";
import { jsonEquals } from "../util/json.ts";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty } from "./fields.ts";
import type { KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";
import { blockDeviceKindSchema } from "./virtual-machine-schema.ts";
import type { BlockDeviceKind } from "./virtual-machine.ts";

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
  admit: (next, { previous }) =>
    previous === undefined || jsonEquals(previous.spec, next.spec)
      ? []
      : [
          {
            field: "spec",
            message:
              "VirtualMachineBlockDeviceAttachment is an idempotent resource: specification changes are not available",
          },
        ],
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
