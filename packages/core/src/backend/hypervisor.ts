import type { Taint } from "../api/placement-terms.ts";
import type { BlockSourceType } from "./block-source.ts";
import type { GuestAgent } from "./guest-agent.ts";
import type { Firmware, GuestRef, GuestSpec, OsType } from "./guest-spec.ts";
import type { Hotplug } from "./hotplug.ts";
import type { LiveMigration, MigrationState } from "./live-migration.ts";
import type { Placement } from "./placement.ts";

/** What a hypervisor can do, as plain JSON that a portal can show. Facets are present exactly where it says so. */
export interface HypervisorCapabilities {
  /** Sources of disks that it takes. */
  readonly blockSources: readonly BlockSourceType[];
  /** `explicit`: it takes `{ host }`; `delegated`: it takes `{ within }` and chooses a host by itself. */
  readonly placement: "explicit" | "delegated";
  /** What guests can be made of. A guest that needs anything else is refused before it is started. */
  readonly guests: {
    readonly osTypes: readonly OsType[];
    readonly firmware: readonly Firmware[];
    readonly tpm: boolean;
    /** True when guests without paravirtualized devices can be made. */
    readonly emulatedDevices: boolean;
    /** True when a guest is held to its share of a core. */
    readonly cpuFraction: boolean;
    readonly answerFiles: boolean;
  };
  /** The facet `consoles` is present when either is true. */
  readonly consoles: { readonly serial: boolean; readonly vnc: boolean };
  /** True exactly when the facet `migration` is present. */
  readonly migration: boolean;
  /** True exactly when the facet `hotplug` is present. */
  readonly hotplug: boolean;
  /** True exactly when the facet `agent` is present. */
  readonly agent: boolean;
}

/** A host as its hypervisor sees it. */
export interface HostState {
  readonly name: string;
  /** False when it does not answer; what follows is then the last that was known. */
  readonly reachable: boolean;
  /** Why it does not answer. */
  readonly message?: string;
  /** Changes when the host boots. */
  readonly bootId?: string;
  readonly hypervisor: string;
  readonly hypervisorVersion: string;
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly labels: Readonly<Record<string, string>>;
  /** False while a cluster that schedules by itself is told to put no new guests there. Default true. */
  readonly schedulable?: boolean;
  /** What keeps a cluster that schedules by itself from putting guests there. Default: nothing. */
  readonly taints?: readonly Taint[];
  /** Absent when the hypervisor does not say. */
  readonly cpu?: {
    readonly vendor?: string;
    /** What `host-model` stands for. */
    readonly model?: string;
    /** Named models that guests can have. */
    readonly models: readonly string[];
    /** Features that guests can have. */
    readonly features: readonly string[];
  };
  /** Names of guests there that carry no mark of ours. They are reported and never touched. */
  readonly unknownGuests: readonly string[];
}

/**
 * Why a guest does not run: it shut itself down, it asked for a reboot (a hypervisor ends it then, so that the next start
 * is a new incarnation), somebody stopped it, it crashed, its host was lost and its cluster knows that it has ended, or
 * it did not start.
 */
export type StopReason =
  | "guest-shutdown"
  | "guest-reset"
  | "stopped"
  | "crashed"
  | "host-lost"
  | "start-failed"
  | "unknown";

/** A guest that carries our mark, as its host sees it. */
export interface GuestState extends GuestRef {
  readonly namespace: string;
  readonly name: string;
  /** Absent while a scheduler has not chosen: `power` is `pending` then. */
  readonly host?: string;
  readonly power: "pending" | "starting" | "running" | "paused" | "stopping" | "stopped";
  /** What a `pending` guest waits for. */
  readonly message?: string;
  /** Present when `power` is `stopped`. */
  readonly stopReason?: StopReason;
  /** Names of the disks that the guest has; absent when the hypervisor does not say. */
  readonly disks?: readonly string[];
  /** The migration that is under way or was the last to end, as long as the hypervisor remembers it. */
  readonly migration?: MigrationState;
  /** True while an agent inside answers; absent when the hypervisor has no facet `agent`. */
  readonly agentConnected?: boolean;
  /** True while the guest's file systems are held at rest. */
  readonly frozen?: boolean;
}

/** Something happened. An event may be late, repeated or lost; the state that it carries is the state at that time. */
export type HypervisorEvent =
  | { readonly type: "guest"; readonly guest: GuestState }
  | { readonly type: "guest-removed"; readonly uid: string; readonly host?: string }
  /** A host's state changed: ask for {@link Hypervisor.hosts} again. */
  | { readonly type: "host"; readonly host: string }
  /** Events may have been missed: ask for hosts and guests again. */
  | { readonly type: "resync" };

/** What a host answers when it is asked for its guests. */
export interface GuestList {
  /** A guest that is being migrated is listed once, at its source until the switch. */
  readonly guests: readonly GuestState[];
  /** Hosts that have answered: a guest of such a host that is not listed does not exist there. */
  readonly hosts: readonly string[];
  /** With delegated placement: true when a guest that is not listed exists on no host of the cluster. */
  readonly complete?: boolean;
}

/** The host that has a guest; absent for a guest of a cluster that has not got a host yet. */
export interface GuestLocation {
  readonly host?: string;
}

/** `shutdown` asks the guest's operating system; `power-off` ends the guest at once. */
export type StopMode = "shutdown" | "power-off";

/** A byte stream in both directions. */
export interface ByteStream extends AsyncIterable<Uint8Array>, AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
}

/** Consoles of running guests. Which there are is in the capabilities. */
export interface Consoles {
  /**
   * Opens the first serial port. A console that is open elsewhere is taken over.
   *
   * @throws `POLYVISOR_NOT_FOUND` when the guest does not run on a host that answers.
   */
  openSerial(ref: GuestRef, options: { readonly signal?: AbortSignal }): Promise<ByteStream>;

  /**
   * Opens the screen as a stream of the RFB protocol (RFC 6143).
   *
   * @throws `POLYVISOR_NOT_FOUND` when the guest does not run on a host that answers.
   */
  openVnc?(ref: GuestRef, options: { readonly signal?: AbortSignal }): Promise<ByteStream>;
}

/**
 * Runs guests on hosts. The port that a maker of a hypervisor implements.
 *
 * Every verb can be repeated: it is idempotent under the guest's uid and incarnation. Errors are `PolyvisorError`s:
 * `POLYVISOR_UNAVAILABLE` when nothing was done because the host does not answer, `POLYVISOR_OUTCOME_UNKNOWN` when the
 * answer to a request that had left was lost, `POLYVISOR_REFUSED` when the hypervisor said no.
 */
export interface Hypervisor extends AsyncDisposable {
  readonly name: string;
  readonly capabilities: HypervisorCapabilities;

  /** Makes ready for use. A host that does not answer is no error: it is reported as unreachable. */
  open(signal: AbortSignal): Promise<void>;

  /** Every host, whether it answers or not. */
  hosts(signal: AbortSignal): Promise<readonly HostState[]>;

  /** Every guest with our mark on the hosts that answer, running or not. */
  guests(signal: AbortSignal): Promise<GuestList>;

  /** Events from the call on, even if nobody iterates yet. Ends when `signal` is aborted. */
  watch(signal: AbortSignal): AsyncIterable<HypervisorEvent>;

  /**
   * Starts a guest. Does nothing when this incarnation runs there already or has run and ended; in each case the state
   * is given back. Refuses when the host has a higher incarnation of the guest, a lower one that still runs, or another
   * guest of that name. With delegated placement, the state may be `pending`.
   */
  startGuest(spec: GuestSpec, placement: Placement, signal: AbortSignal): Promise<GuestState>;

  /**
   * Stops a guest. `shutdown` returns when the request was handed over, `power-off` when the guest has ended. Does
   * nothing when the guest does not run.
   */
  stopGuest(
    ref: GuestRef,
    where: GuestLocation,
    mode: StopMode,
    signal: AbortSignal,
  ): Promise<void>;

  /**
   * Forgets a guest that does not run, with all that was made for it besides its disks. Does nothing when it is not
   * there; refuses while it runs.
   */
  removeGuest(uid: string, where: GuestLocation, signal: AbortSignal): Promise<void>;

  readonly consoles?: Consoles;
  readonly migration?: LiveMigration;
  readonly hotplug?: Hotplug;
  readonly agent?: GuestAgent;
}
