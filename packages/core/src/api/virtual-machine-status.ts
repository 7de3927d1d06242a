import type { Condition } from "./conditions.ts";
import type { BlockDeviceKind, NetworkRef, VirtualMachineSpec } from "./virtual-machine.ts";

/** Phases of a VM. */
export type VirtualMachinePhase =
  | "Pending"
  | "Starting"
  | "Running"
  | "Degraded"
  | "Pause"
  | "Migrating"
  | "Stopping"
  | "Stopped"
  | "Terminating";

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

/** A block device as the guest has it. */
export interface BlockDeviceStatus {
  readonly kind: BlockDeviceKind;
  readonly name: string;
  readonly attached: boolean;
  /** A quantity. */
  readonly size: string;
  /** The name of the device in the guest, such as `sda`, where it is known. */
  readonly target?: string;
  readonly hotplugged?: boolean;
  readonly virtualMachineBlockDeviceAttachmentName?: string;
  readonly bootOrder?: number;
}

/** A change that waits for a restart of the VM. Source: DVP, `status.restartAwaitingChanges`. */
export interface RestartAwaitingChange {
  readonly operation: "add" | "remove" | "replace";
  /** Below `spec`, such as `cpu.cores` or `blockDeviceRefs.0`. */
  readonly path: string;
  readonly currentValue?: unknown;
  readonly desiredValue?: unknown;
}

/** The last or present live migration. */
export interface MigrationStateStatus {
  /** RFC 3339. */
  readonly startTimestamp?: string;
  /** RFC 3339. */
  readonly endTimestamp?: string;
  readonly source?: { readonly node?: string };
  readonly target?: { readonly node?: string };
  readonly result?: "" | "Succeeded" | "Failed";
}

/** What is known about a VM. */
export interface VirtualMachineStatus {
  readonly phase: VirtualMachinePhase;
  readonly nodeName?: string;
  readonly virtualMachineIPAddressName?: string;
  readonly ipAddress?: string;
  readonly blockDeviceRefs?: readonly BlockDeviceStatus[];
  /** What the running guest has; of a stopped VM, what it would get. */
  readonly resources?: {
    readonly cpu: {
      readonly cores: number;
      readonly coreFraction: string;
      /** A quantity of cores that is set aside, such as `500m`. */
      readonly requestedCores?: string;
      readonly runtimeOverhead?: string;
      readonly topology?: { readonly sockets: number; readonly coresPerSocket: number };
    };
    readonly memory: { readonly size: string; readonly runtimeOverhead?: string };
  };
  readonly networks?: readonly (NetworkRef & {
    readonly macAddress?: string;
    readonly ipAddress?: string;
  })[];
  readonly restartAwaitingChanges?: readonly RestartAwaitingChange[];
  readonly migrationState?: MigrationStateStatus;
  readonly stats?: {
    readonly phasesTransitions?: readonly {
      readonly phase: VirtualMachinePhase;
      /** RFC 3339. */
      readonly timestamp: string;
    }[];
    /** Durations such as `5s`. */
    readonly launchTimeDuration?: {
      readonly waitingForDependencies?: string;
      readonly virtualMachineStarting?: string;
      readonly guestOSAgentStarting?: string;
    };
    /** RFC 3339. */
    readonly lastStartTime?: string;
  };
  /** What the guest agent says of the operating system. */
  readonly guestOSInfo?: Readonly<Record<string, unknown>>;
  /** Versions of what runs the guest. */
  readonly versions?: Readonly<Record<string, string>>;
  readonly guest?: GuestRecord;
  readonly conditions: readonly Condition[];
  readonly observedGeneration: number;
}
