import * as z from "zod";
import { nonEmpty, quantity, textByKey } from "./fields.ts";
import { affinitySchema, tolerationsSchema, topologySpreadSchema } from "./placement-terms.ts";
import type {
  BlockDeviceRef,
  NetworkRef,
  Provisioning,
  ProvisioningInput,
  SecretRef,
  VirtualMachineInput,
  VirtualMachineSpec,
  VirtualMachineSpecInput,
} from "./virtual-machine.ts";
import type { Defaulted } from "./kind.ts";

/** A block device as users write it. */
export const blockDeviceKindSchema: z.ZodType<BlockDeviceRef["kind"], BlockDeviceRef["kind"]> =
  z.enum(["VirtualDisk", "VirtualImage", "ClusterVirtualImage"]);

const secretRef: z.ZodType<SecretRef, Defaulted<SecretRef, "kind">> = z.strictObject({
  kind: z.literal("Secret").default("Secret"),
  name: nonEmpty,
});

const provisioning: z.ZodType<Provisioning, ProvisioningInput> = z.strictObject({
  type: z.enum(["UserData", "UserDataRef", "SysprepRef"]),
  userData: z.string().exactOptional(),
  userDataRef: secretRef.exactOptional(),
  sysprepRef: secretRef.exactOptional(),
});

const network: z.ZodType<NetworkRef, NetworkRef> = z.strictObject({
  id: z.int().exactOptional(),
  type: z.enum(["Main", "Network", "ClusterNetwork"]),
  name: nonEmpty.exactOptional(),
  virtualMachineMACAddressName: nonEmpty.exactOptional(),
  ipAddressName: nonEmpty.exactOptional(),
});

const GPU_CLASS = /^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$/;

/** The spec of a VM as users write it. A class and a core fraction that are left out become empty for a start. */
export const virtualMachineSpecSchema: z.ZodType<VirtualMachineSpec, VirtualMachineSpecInput> =
  z.strictObject({
    virtualMachineClassName: z.string().default(""),
    runPolicy: z
      .enum(["AlwaysOn", "AlwaysOff", "Manual", "AlwaysOnUnlessStoppedManually"])
      .default("AlwaysOnUnlessStoppedManually"),
    cpu: z.strictObject({
      cores: z.int().min(1),
      coreFraction: z
        .string()
        .regex(
          /^(Auto|(100|[1-9][0-9]?)%)?$/,
          "Core fraction must be 'Auto' or a percentage between 1% and 100%.",
        )
        .default(""),
    }),
    memory: z.strictObject({ size: quantity }),
    blockDeviceRefs: z
      .array(
        z.strictObject({
          kind: blockDeviceKindSchema,
          name: nonEmpty,
          bootOrder: z.int().exactOptional(),
        }),
      )
      .min(1)
      .max(16),
    provisioning: provisioning.exactOptional(),
    virtualMachineIPAddressName: nonEmpty.exactOptional(),
    networks: z.array(network).exactOptional(),
    nodeSelector: textByKey.exactOptional(),
    affinity: affinitySchema.exactOptional(),
    tolerations: tolerationsSchema.exactOptional(),
    topologySpreadConstraints: topologySpreadSchema.exactOptional(),
    priorityClassName: nonEmpty.exactOptional(),
    terminationGracePeriodSeconds: z.int().min(0).default(60),
    enableParavirtualization: z.boolean().default(true),
    osType: z.enum(["Generic", "Windows", "Legacy"]).default("Generic"),
    bootloader: z.enum(["BIOS", "EFI", "EFIWithSecureBoot"]).default("BIOS"),
    liveMigrationPolicy: z
      .enum(["AlwaysSafe", "PreferSafe", "AlwaysForced", "PreferForced"])
      .default("PreferSafe"),
    disruptions: z
      .strictObject({ restartApprovalMode: z.enum(["Manual", "Automatic"]).default("Manual") })
      .default({ restartApprovalMode: "Manual" }),
    usbDevices: z
      .array(z.strictObject({ name: nonEmpty }))
      .max(8)
      .exactOptional(),
    gpus: z
      .array(
        z.strictObject({
          gpuClassName: z
            .string()
            .min(1)
            .max(253)
            .regex(GPU_CLASS, "must consist of lower-case letters, digits, '-' and '.'"),
        }),
      )
      .max(16)
      .exactOptional(),
  });

/** A VM as users write it. */
export const virtualMachineSchema: z.ZodType<
  { readonly spec: VirtualMachineSpec },
  VirtualMachineInput
> = z.strictObject({ spec: virtualMachineSpecSchema });
