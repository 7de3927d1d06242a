import * as z from "zod";
import { jsonEquals } from "../util/json.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty } from "./fields.ts";
import type { AdmissionContext, AdmissionIssue, KindDefinition } from "./kind.ts";
import { GROUP, type Resource, V1ALPHA2 } from "./meta.ts";
import { type LabelSelector, labelSelectorSchema } from "./selectors.ts";

/** What the VMs of a class have in common: the CPU that they see and the nodes that they run on. */
export interface VirtualMachineClass extends Resource {
  readonly kind: "VirtualMachineClass";
  readonly spec: VirtualMachineClassSpec;
  readonly status?: VirtualMachineClassStatus;
}

/** The CPU of a class. Source: the DVP administrator guide, "Virtual machine classes". */
export interface ClassCpu {
  readonly type: "Host" | "HostPassthrough" | "Model" | "Features";
  /** A CPU model by its libvirt name, for type `Model`. */
  readonly model?: string;
  /** CPU features that the guest must have, for type `Features`. */
  readonly features?: readonly string[];
}

/** What an administrator wants of a {@link VirtualMachineClass}. */
export interface VirtualMachineClassSpec {
  readonly cpu: ClassCpu;
  /** Nodes that VMs of this class may run on. Default: all. */
  readonly nodeSelector?: LabelSelector;
}

/** What an administrator writes of a {@link VirtualMachineClass}. */
export interface VirtualMachineClassInput {
  readonly spec: VirtualMachineClassSpec;
}

/** What is known about a {@link VirtualMachineClass}. */
export interface VirtualMachineClassStatus {
  readonly phase: "Pending" | "Ready" | "Terminating";
  readonly availableNodes: readonly string[];
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** Marks the default class in the table of classes. VMs name their class all the same. */
const DEFAULT_CLASS_ANNOTATION = `virtualmachineclass.${GROUP}/is-default-class`;

function admitClass(
  next: VirtualMachineClass,
  { previous }: AdmissionContext<VirtualMachineClass>,
): AdmissionIssue[] {
  const { type, model, features } = next.spec.cpu;
  const issues: AdmissionIssue[] = [];
  const field = "spec.cpu";
  const host = type === "Host" || type === "HostPassthrough";
  if (host && (model !== undefined || features !== undefined)) {
    issues.push({
      field,
      message: "HostPassthrough and Host cannot have model, features or discovery",
    });
  }
  if (type === "Model" && (model === undefined || features !== undefined)) {
    issues.push({ field, message: "Model requires model and cannot have features or discovery" });
  }
  if (type === "Features" && (features === undefined || model !== undefined)) {
    issues.push({
      field,
      message: "Features requires features and cannot have model or discovery",
    });
  }
  if (previous !== undefined && !jsonEquals(previous.spec.cpu, next.spec.cpu)) {
    issues.push({ field, message: ".spec.cpu is immutable: create another class" });
  }
  return issues;
}

/** The kind {@link VirtualMachineClass}. */
export const VIRTUAL_MACHINE_CLASS: KindDefinition<VirtualMachineClass, VirtualMachineClassInput> =
  {
    apiVersion: V1ALPHA2,
    servedVersions: [`${GROUP}/v1alpha3`],
    kind: "VirtualMachineClass",
    plural: "virtualmachineclasses",
    shortNames: ["vmc", "vmclass"],
    namespaced: false,
    schema: z.strictObject({
      spec: z.strictObject({
        cpu: z.strictObject({
          type: z.enum(["Host", "HostPassthrough", "Model", "Features"]),
          model: nonEmpty.exactOptional(),
          features: z.array(nonEmpty).min(1).exactOptional(),
        }),
        nodeSelector: labelSelectorSchema.exactOptional(),
      }),
    }),
    admit: admitClass,
    columns: [
      { name: "Phase", value: (vmClass) => vmClass.status?.phase },
      {
        name: "IsDefault",
        value: (vmClass) => vmClass.metadata.annotations?.[DEFAULT_CLASS_ANNOTATION],
      },
    ],
  };
