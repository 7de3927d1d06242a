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
 * Why a guest is no longer running: it shut itself down, it asked for a reboot, somebody else stopped it, the run policy,
 * an operation, a restart or a restore stopped it, it crashed, its host was lost with it, it did not start, or its host
 * answers and does not have it.
 */
export type GuestStopReason =
  | "GuestShutdown"
  | "GuestReset"
  | "Stopped"
  | "StoppedByPolicy"
  | "StoppedByOperation"
  | "StoppedForRestart"
  | "StoppedForMaintenance"
  | "Crashed"
  | "HostLost"
  | "StartFailed"
  | "Lost";

/** A volume that a guest has, or may have. */
export interface GuestDevice {
  readonly kind: BlockDeviceKind;
  readonly name: string;
  /** The name of the volume in its storage. */
  readonly volume: string;
  /** `Waiting`: it could not be plugged in, and is not there. */
  readonly state: "Waiting" | "Attaching" | "Attached" | "Detaching";
  /** What it waits for. */
  readonly message?: string;
  /** True when several hosts can have it at once, so that the guest can be migrated. */
  readonly shared: boolean;
  /** True when it was plugged into the running guest. */
  readonly hotplugged?: true;
  /** The VirtualMachineBlockDeviceAttachment that it is there for; absent when the VM's spec names it. */
  readonly attachment?: string;
}

/** A live migration that may be under way. Kept until both hosts are known to be as they should. */
export interface GuestMigration {
  /** The uid of the operation that it is carried out for. */
  readonly id: string;
  readonly source: string;
  /** Absent while the hypervisor's own scheduler has not chosen. */
  readonly target?: string;
  readonly autoConverge: boolean;
  /** True when its end has been asked for. */
  readonly cancelling?: true;
  /** RFC 3339. */
  readonly since: string;
}

/** What became of an operation on the guest. */
export interface GuestOperation {
  /** `metadata.uid` of the VirtualMachineOperation; each one is acted on once. */
  readonly uid: string;
  /** The incarnation that there was when the operation was taken up. */
  readonly incarnation: number;
  /** Of a migration that is over, or that cannot begin. */
  readonly outcome?: "Waiting" | "Succeeded" | "Failed" | "Aborted";
  /** For a person. */
  readonly message?: string;
}

/**
 * What the manager has decided about the guest and knows to be true of it. Written before a command leaves and after
 * its outcome was observed, so that a manager that starts anew goes on instead of starting a second guest.
 */
export interface GuestRecord {
  /** Raised at every start; 0 before the first. */
  readonly incarnation: number;
  /**
   * Where the incarnation was sent. A host that had a guest may keep its definition after the end. Absent while the
   * hypervisor's own scheduler has not chosen.
   */
  readonly host?: string;
  /** The name of the hypervisor that the incarnation was sent to. */
  readonly hypervisor?: string;
  readonly state: "Starting" | "Running" | "Stopping" | "Stopped";
  readonly stopReason?: GuestStopReason;
  /** What becomes the {@link stopReason} of a guest that is `Stopping`. */
  readonly stopCause?: Extract<GuestStopReason, `Stopped${"By" | "For"}${string}`>;
  /** True for a stop that gives the guest no time. */
  readonly forced?: true;
  /** True until a start that was asked for has begun. */
  readonly startRequested?: true;
  /** RFC 3339; when the present state began. */
  readonly since: string;
  /** Runs in a row that ended soon and by themselves; the next start waits the longer. */
  readonly failures: number;
  /** What the guest was built from, with what was changed since. */
  readonly appliedSpec?: VirtualMachineSpec;
  /** What is, or may be, attached on {@link host}; a disk here belongs to this VM. */
  readonly devices?: readonly GuestDevice[];
  readonly migration?: GuestMigration;
  /** The operation that was taken up last. */
  readonly operation?: GuestOperation;
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
