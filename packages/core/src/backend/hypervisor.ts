import type { BlockSourceType } from "./block-source.ts";
import type { GuestRef, GuestSpec } from "./guest-spec.ts";

/** What a hypervisor can do, as plain JSON that a portal can show. Facets are present exactly where it says so. */
export interface HypervisorCapabilities {
  /** Sources of disks that it takes. */
  readonly blockSources: readonly BlockSourceType[];
  readonly consoles: {
    /** True exactly when the facet `consoles` is present. */
    readonly serial: boolean;
  };
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
  /** Names of guests there that carry no mark of ours. They are reported and never touched. */
  readonly unknownGuests: readonly string[];
}

/** Why a guest does not run. */
export type StopReason = "guest-shutdown" | "stopped" | "crashed" | "start-failed" | "unknown";

/** A guest that carries our mark, as its host sees it. */
export interface GuestState extends GuestRef {
  readonly namespace: string;
  readonly name: string;
  readonly host: string;
  readonly power: "running" | "paused" | "stopping" | "stopped";
  /** Present when `power` is `stopped`. */
  readonly stopReason?: StopReason;
}

/** Something happened. An event may be late, repeated or lost; the state that it carries is the state at that time. */
export type HypervisorEvent =
  | { readonly type: "guest"; readonly guest: GuestState }
  | { readonly type: "guest-removed"; readonly uid: string; readonly host: string }
  /** A host's state changed: ask for {@link Hypervisor.hosts} again. */
  | { readonly type: "host"; readonly host: string }
  /** Events may have been missed: ask for hosts and guests again. */
  | { readonly type: "resync" };

/** What a host answers when it is asked for its guests. */
export interface GuestList {
  readonly guests: readonly GuestState[];
  /** Hosts that have answered: a guest of such a host that is not listed does not exist there. */
  readonly hosts: readonly string[];
}

/** Where a guest is to run. */
export interface Placement {
  readonly host: string;
}

/** `shutdown` asks the guest's operating system; `power-off` ends the guest at once. */
export type StopMode = "shutdown" | "power-off";

/** A byte stream in both directions. */
export interface ByteStream extends AsyncIterable<Uint8Array>, AsyncDisposable {
  write(bytes: Uint8Array): Promise<void>;
}

/** Consoles of running guests. */
export interface Consoles {
  /**
   * Opens the first serial port. A console that is open elsewhere is taken over.
   *
   * @throws `POLYVISOR_NOT_FOUND` when the guest does not run on a host that answers.
   */
  openSerial(ref: GuestRef, options: { readonly signal?: AbortSignal }): Promise<ByteStream>;
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
   * guest of that name.
   */
  startGuest(spec: GuestSpec, placement: Placement, signal: AbortSignal): Promise<GuestState>;

  /**
   * Stops a guest. `shutdown` returns when the request was handed over, `power-off` when the guest has ended. Does
   * nothing when the guest does not run.
   */
  stopGuest(
    ref: GuestRef,
    placement: Placement,
    mode: StopMode,
    signal: AbortSignal,
  ): Promise<void>;

  /**
   * Forgets a guest that does not run, with all that was made for it besides its disks. Does nothing when it is not
   * there; refuses while it runs.
   */
  removeGuest(uid: string, placement: Placement, signal: AbortSignal): Promise<void>;

  readonly consoles?: Consoles;
}
