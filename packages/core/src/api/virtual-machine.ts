import * as z from "zod";
import { parseQuantity } from "../util/quantity.ts";
import type { Condition } from "./conditions.ts";
import { nonEmpty, quantity } from "./fields.ts";
import type { AdmissionIssue, Defaulted, KindDefinition } from "./kind.ts";
import { type Resource, V1ALPHA2 } from "./meta.ts";

/** When a VM runs. Source: the DVP user guide, "Run policy". */
export type RunPolicy = "AlwaysOn" | "AlwaysOff" | "Manual" | "AlwaysOnUnlessStoppedManually";

/** A virtual machine. */
export interface VirtualMachine extends Resource {
  readonly kind: "VirtualMachine";
  readonly spec: VirtualMachineSpec;
  readonly status?: VirtualMachineStatus;
}

/** A disk that a VM uses. */
export interface BlockDeviceRef {
  readonly kind: "VirtualDisk";
  readonly name: string;
}

/** How the guest is set up at its first start. */
export interface Provisioning {
  readonly type: "UserData" | "UserDataRef";
  /** A cloud-init user-data document of at most 2,048 bytes. */
  readonly userData?: string;
  /** A Secret of type `provisioning.virtualization.deckhouse.io/cloud-init` with the key `userData`. */
  readonly userDataRef?: { readonly kind: "Secret"; readonly name: string };
}

/** What a user wants of a {@link VirtualMachine}. */
export interface VirtualMachineSpec {
  readonly virtualMachineClassName: string;
  /** Default `AlwaysOnUnlessStoppedManually`. */
  readonly runPolicy: RunPolicy;
  readonly cpu: {
    readonly cores: number;
    /** `1%` to `100%` of each core that is set aside for the VM. Default `100%`. */
    readonly coreFraction: string;
  };
  readonly memory: { readonly size: string };
  /** In boot order. */
  readonly blockDeviceRefs: readonly BlockDeviceRef[];
  readonly provisioning?: Provisioning;
  /** Default: an address of the configured ranges that lives as long as the VM. */
  readonly virtualMachineIPAddressName?: string;
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** Seconds that a guest gets to shut down before it is powered off. Default 60. */
  readonly terminationGracePeriodSeconds: number;
  readonly enableParavirtualization: true;
  readonly osType: "Generic";
  readonly bootloader: "BIOS";
  /** Taken and kept; there is no live migration yet. */
  readonly liveMigrationPolicy: "AlwaysSafe" | "PreferSafe" | "AlwaysForced" | "PreferForced";
  /** Changes of a running VM wait for its next start. */
  readonly disruptions: { readonly restartApprovalMode?: "Manual" };
}

/** What a user writes of a {@link VirtualMachine}. */
export interface VirtualMachineInput {
  readonly spec: Defaulted<
    Omit<VirtualMachineSpec, "cpu" | "memory" | "provisioning" | "disruptions">,
    | "runPolicy"
    | "terminationGracePeriodSeconds"
    | "enableParavirtualization"
    | "osType"
    | "bootloader"
    | "liveMigrationPolicy"
  > & {
    readonly cpu: Defaulted<VirtualMachineSpec["cpu"], "coreFraction">;
    readonly memory: { readonly size: string | number };
    readonly provisioning?: ProvisioningInput;
    readonly disruptions?: { readonly restartApprovalMode?: "Manual" | undefined } | undefined;
  };
}

/** What a user writes of {@link Provisioning}. */
export type ProvisioningInput = Omit<Provisioning, "userDataRef"> & {
  readonly userDataRef?: { readonly kind?: "Secret" | undefined; readonly name: string };
};

/** Phases of a VM. */
export type VirtualMachinePhase =
  "Pending" | "Starting" | "Running" | "Pause" | "Stopping" | "Stopped" | "Terminating";

/**
 * Why a guest is no longer running: it shut itself down, it asked for a reboot, somebody else or the run policy stopped
 * it, it crashed, its host was lost with it, it did not start, or its host answers and does not have it.
 */
export type GuestStopReason =
  | "GuestShutdown"
  | "GuestReset"
  | "Stopped"
  | "StoppedByPolicy"
  | "Crashed"
  | "HostLost"
  | "StartFailed"
  | "Lost";

/**
 * What the manager has decided about the guest and knows to be true of it. Written before a command leaves and after
 * its outcome was observed, so that a manager that starts anew goes on instead of starting a second guest.
 */
export interface GuestRecord {
  /** Raised at every start. */
  readonly incarnation: number;
  /** Where the incarnation was sent. A host that had a guest may keep its definition after the end. */
  readonly host?: string;
  readonly state: "Starting" | "Running" | "Stopping" | "Stopped";
  readonly stopReason?: GuestStopReason;
  /** RFC 3339; when the present state began. */
  readonly since: string;
  /** Runs in a row that ended soon and by themselves; the next start waits the longer. */
  readonly failures: number;
  /** What the guest was built from. */
  readonly appliedSpec?: VirtualMachineSpec;
}

/** What is known about a {@link VirtualMachine}. */
export interface VirtualMachineStatus {
  readonly phase: VirtualMachinePhase;
  readonly nodeName?: string;
  readonly virtualMachineIPAddressName?: string;
  readonly ipAddress?: string;
  readonly blockDeviceRefs?: readonly {
    readonly kind: BlockDeviceRef["kind"];
    readonly name: string;
    readonly attached: boolean;
    readonly size: string;
  }[];
  readonly resources?: {
    readonly cpu: { readonly cores: number; readonly coreFraction: string };
    readonly memory: { readonly size: string };
  };
  readonly stats?: { readonly lastStartTime?: string };
  readonly guest?: GuestRecord;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}

/** Sockets by the number of cores. Source: DVP, CPU topology: 1 up to 16 cores, 2 up to 32, 4 up to 64, else 8. */
export function cpuTopology(cores: number): { sockets: number; coresPerSocket: number } {
  const sockets = cores <= 16 ? 1 : cores <= 32 ? 2 : cores <= 64 ? 4 : 8;
  return { sockets, coresPerSocket: Math.ceil(cores / sockets) };
}

/** `status` of a condition, as a column shows it. */
function conditionStatus(vm: VirtualMachine, type: string): string | undefined {
  return vm.status?.conditions.find((condition) => condition.type === type)?.status;
}

function onlyYet<T extends string | true>(value: T): z.ZodDefault<z.ZodLiteral<T>> {
  return z
    .literal(value, { error: `must be ${JSON.stringify(value)}: others are not supported yet` })
    .default(value as never);
}

const provisioningSchema: z.ZodType<Provisioning, ProvisioningInput> = z.strictObject({
  type: z.enum(["UserData", "UserDataRef"]),
  userData: z.string().exactOptional(),
  userDataRef: z
    .strictObject({ kind: z.literal("Secret").default("Secret"), name: nonEmpty })
    .exactOptional(),
});

function admitVirtualMachine({ spec }: VirtualMachine): AdmissionIssue[] {
  const issues: AdmissionIssue[] = [];
  const { sockets, coresPerSocket } = cpuTopology(spec.cpu.cores);
  if (sockets * coresPerSocket !== spec.cpu.cores) {
    issues.push({
      field: "spec.cpu.cores",
      message: `the requested number of cores must be a multiple of ${sockets}`,
    });
  }
  if (parseQuantity(spec.memory.size) <= 0) {
    issues.push({ field: "spec.memory.size", message: "must be greater than 0" });
  }
  const seen = new Set<string>();
  spec.blockDeviceRefs.forEach(({ kind, name }, index) => {
    if (seen.has(`${kind}/${name}`)) {
      issues.push({
        field: `spec.blockDeviceRefs[${index}]`,
        message: `cannot specify the same block device reference more than once: ${kind} with name "${name}" has a duplicate reference`,
      });
    }
    seen.add(`${kind}/${name}`);
  });
  const { provisioning } = spec;
  if (provisioning) {
    const { type, userData, userDataRef } = provisioning;
    if (
      (type === "UserData") !== (userData !== undefined) ||
      (type === "UserDataRef") !== (userDataRef !== undefined)
    ) {
      issues.push({
        field: "spec.provisioning",
        message: `type ${type} needs ${type === "UserData" ? "userData" : "userDataRef"} and nothing else besides`,
      });
    }
    if (userData !== undefined && Buffer.byteLength(userData) > 2048) {
      issues.push({
        field: "spec.provisioning.userData",
        message: "`userData` exceeds 2048 byte limit; should use `userDataRef` for larger data.",
      });
    }
  }
  return issues;
}

/** The kind {@link VirtualMachine}. */
export const VIRTUAL_MACHINE: KindDefinition<VirtualMachine, VirtualMachineInput> = {
  apiVersion: V1ALPHA2,
  kind: "VirtualMachine",
  plural: "virtualmachines",
  shortNames: ["vm"],
  namespaced: true,
  maxNameLength: 63,
  schema: z.strictObject({
    spec: z.strictObject({
      virtualMachineClassName: nonEmpty,
      runPolicy: z
        .enum(["AlwaysOn", "AlwaysOff", "Manual", "AlwaysOnUnlessStoppedManually"])
        .default("AlwaysOnUnlessStoppedManually"),
      cpu: z.strictObject({
        cores: z.int().min(1).max(248),
        coreFraction: z
          .string()
          .regex(/^(100|[1-9][0-9]?)%$/, "must be a percentage between 1% and 100%")
          .default("100%"),
      }),
      memory: z.strictObject({ size: quantity }),
      blockDeviceRefs: z
        .array(
          z.strictObject({
            kind: z.literal("VirtualDisk", {
              error: 'must be "VirtualDisk": attaching images is not supported yet',
            }),
            name: nonEmpty,
          }),
        )
        .min(1)
        .max(16),
      provisioning: provisioningSchema.exactOptional(),
      virtualMachineIPAddressName: nonEmpty.exactOptional(),
      nodeSelector: z.record(z.string(), z.string()).exactOptional(),
      terminationGracePeriodSeconds: z.int().min(0).default(60),
      enableParavirtualization: onlyYet(true),
      osType: onlyYet("Generic"),
      bootloader: onlyYet("BIOS"),
      liveMigrationPolicy: z
        .enum(["AlwaysSafe", "PreferSafe", "AlwaysForced", "PreferForced"])
        .default("PreferSafe"),
      disruptions: z
        .strictObject({ restartApprovalMode: onlyYet("Manual") })
        .default({ restartApprovalMode: "Manual" }),
    }),
  }),
  admit: admitVirtualMachine,
  columns: [
    { name: "Phase", value: (vm) => vm.status?.phase },
    { name: "Uptime", value: (vm) => vm.status?.stats?.lastStartTime, type: "date" },
    { name: "Cores", value: (vm) => vm.status?.resources?.cpu.cores.toString(), wide: true },
    { name: "CoreFraction", value: (vm) => vm.status?.resources?.cpu.coreFraction, wide: true },
    { name: "Memory", value: (vm) => vm.status?.resources?.memory.size, wide: true },
    {
      name: "Need restart",
      value: (vm) => conditionStatus(vm, "AwaitingRestartToApplyConfiguration"),
      wide: true,
    },
    { name: "Node", value: (vm) => vm.status?.nodeName },
    { name: "IPAddress", value: (vm) => vm.status?.ipAddress },
  ],
};
