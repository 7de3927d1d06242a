import * as z from "zod";
import { phaseColumn } from "./columns.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty, quantity } from "./fields.ts";
import type { KindDefinition } from "./kind.ts";
import { GROUP, type Resource, V1ALPHA2 } from "./meta.ts";
import { type Toleration, tolerationsSchema } from "./placement-terms.ts";
import { admitClass, admitDefaultClass } from "./virtual-machine-class-admission.ts";
import { DEFAULT_CLASS_ANNOTATION } from "./default-class.ts";
import type { SizingPolicy } from "./sizing-policy.ts";
import { type LabelSelector, labelSelectorSchema } from "./selectors.ts";

/** What the VMs of a class have in common: the CPU that they see, the nodes that they run on, the sizes that they have. */
export interface VirtualMachineClass extends Resource {
  readonly kind: "VirtualMachineClass";
  readonly spec: VirtualMachineClassSpec;
  readonly status?: VirtualMachineClassStatus;
}

/** The CPU of a class. Source: the DVP administrator guide, "Virtual machine classes". */
export interface ClassCpu {
  readonly type: "Host" | "HostPassthrough" | "Discovery" | "Model" | "Features";
  /** A CPU model by its libvirt name, for type `Model`. */
  readonly model?: string;
  /** CPU features that the guest must have, for type `Features`. */
  readonly features?: readonly string[];
  /** For type `Discovery`: the nodes whose common features the guest gets. Default: all nodes. */
  readonly discovery?: { readonly nodeSelector?: LabelSelector };
}

/** What an administrator wants of a {@link VirtualMachineClass}. */
export interface VirtualMachineClassSpec {
  readonly cpu: ClassCpu;
  /** Nodes that VMs of this class may run on. Default: all. */
  readonly nodeSelector?: LabelSelector;
  /** Added to those of the VMs. */
  readonly tolerations?: readonly Toleration[];
  /** At most 16. Default: every size is allowed. */
  readonly sizingPolicies?: readonly SizingPolicy[];
}

/** What an administrator writes of a {@link VirtualMachineClass}. */
export interface VirtualMachineClassInput {
  readonly spec: VirtualMachineClassSpec;
}

/** What is known about a {@link VirtualMachineClass}. */
export interface VirtualMachineClassStatus {
  readonly phase: "Pending" | "Ready" | "Terminating";
  readonly availableNodes: readonly string[];
  /** Of types `Discovery` and `Features`. */
  readonly cpuFeatures?: {
    /** What guests get; once found out, it stays. */
    readonly enabled?: readonly string[];
    /** What all available nodes have besides. */
    readonly notEnabledCommon?: readonly string[];
  };
  /** Quantities by resource (`cpu`, `memory`): the largest VM that one node can have. */
  readonly maxAllocatableResources?: Readonly<Record<string, string>>;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** `apiVersion` of classes as they are stored. */
export const V1ALPHA3: string = `${GROUP}/v1alpha3`;

const percentage = z
  .string()
  .regex(/^(100|[1-9][0-9]?)%$/, 'must be a percentage between "1%" and "100%"');

const sizingPolicy: z.ZodType<SizingPolicy, SizingPolicy> = z.strictObject({
  cores: z.strictObject({
    min: z.int().min(1),
    max: z.int().max(1024),
    step: z.int().min(1).exactOptional(),
  }),
  memory: z
    .strictObject({
      min: quantity.exactOptional(),
      max: quantity.exactOptional(),
      step: quantity.exactOptional(),
      perCore: z
        .strictObject({ min: quantity.exactOptional(), max: quantity.exactOptional() })
        .exactOptional(),
    })
    .exactOptional(),
  coreFractions: z.array(percentage).exactOptional(),
  defaultCoreFraction: z
    .string()
    .regex(
      /^(Auto|(100|[1-9][0-9]?)%)$/,
      "The default core fraction must be a number from 1 to 100, or 'Auto'.",
    )
    .exactOptional(),
  dedicatedCores: z.array(z.boolean()).exactOptional(),
});

/** Core fractions are numbers there. */
function toV1alpha2(vmClass: VirtualMachineClass): Resource {
  const { sizingPolicies } = vmClass.spec;
  if (sizingPolicies === undefined) return vmClass;
  const policies = sizingPolicies.map(({ coreFractions, defaultCoreFraction, ...policy }) => ({
    ...policy,
    ...(coreFractions && { coreFractions: coreFractions.map(asNumber) }),
    ...(defaultCoreFraction !== undefined && {
      defaultCoreFraction: asNumber(defaultCoreFraction),
    }),
  }));
  return { ...vmClass, spec: { ...vmClass.spec, sizingPolicies: policies } };
}

function asNumber(fraction: string): number | string {
  return fraction.endsWith("%") ? Number.parseInt(fraction, 10) : fraction;
}

/** The kind {@link VirtualMachineClass}. */
export const VIRTUAL_MACHINE_CLASS: KindDefinition<VirtualMachineClass, VirtualMachineClassInput> =
  {
    apiVersion: V1ALPHA3,
    servedVersions: [V1ALPHA2],
    toServedVersion: toV1alpha2,
    kind: "VirtualMachineClass",
    plural: "virtualmachineclasses",
    shortNames: ["vmc", "vmclass"],
    categories: ["virtualization-cluster"],
    namespaced: false,
    schema: z.strictObject({
      spec: z.strictObject({
        cpu: z.strictObject({
          type: z.enum(["Host", "HostPassthrough", "Discovery", "Model", "Features"]),
          model: nonEmpty.exactOptional(),
          features: z.array(nonEmpty).min(1).exactOptional(),
          discovery: z
            .strictObject({ nodeSelector: labelSelectorSchema.exactOptional() })
            .exactOptional(),
        }),
        nodeSelector: labelSelectorSchema.exactOptional(),
        tolerations: tolerationsSchema.exactOptional(),
        sizingPolicies: z.array(sizingPolicy).max(16).exactOptional(),
      }),
    }),
    admit: admitClass,
    admitMetadata: admitDefaultClass,
    columns: [
      phaseColumn(),
      {
        name: "IsDefault",
        value: (vmClass) => vmClass.metadata.annotations?.[DEFAULT_CLASS_ANNOTATION],
      },
    ],
  };
