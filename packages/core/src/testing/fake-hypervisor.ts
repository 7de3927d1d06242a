import type { Hotplug } from "../backend/hotplug.ts";
import type { GuestAgent } from "../backend/guest-agent.ts";
import type { GuestRef, GuestSpec } from "../backend/guest-spec.ts";
import type {
  ByteStream,
  Consoles,
  GuestList,
  GuestState,
  HostState,
  Hypervisor,
  HypervisorCapabilities,
  HypervisorEvent,
  GuestLocation,
  StopMode,
  StopReason,
} from "../backend/hypervisor.ts";
import type { Placement } from "../backend/placement.ts";
import { BoundedChannel } from "../util/bounded-channel.ts";
import { PolyvisorError } from "../util/errors.ts";
import { fakeHotplug, type FakeGuests, FakeMigrations } from "./fake-facets.ts";

/** A guest on a host of a {@link FakeHypervisor}. */
export interface FakeGuest {
  spec: GuestSpec;
  state: GuestState & { readonly host: string };
  /** What it will have where it is being migrated to. */
  targetDisks?: GuestSpec["disks"];
}

/** What a {@link FakeHypervisor} is made of. */
export interface FakeHypervisorOptions {
  readonly name?: string;
  /** Default: one host `node-1`. */
  readonly hosts?: readonly string[];
  /** Memory of each host. Default 64 GiB. */
  readonly memoryBytes?: number;
  /** True for the facet `agent`. Default false. */
  readonly agent?: boolean;
  /** True for the facet `hotplug`. Default false. */
  readonly hotplug?: boolean;
  /** True for the facet `migration`. Default false. */
  readonly migration?: boolean;
}

const CAPABILITIES: HypervisorCapabilities = {
  blockSources: ["file", "block"],
  placement: "explicit",
  guests: {
    osTypes: ["generic", "windows", "legacy"],
    firmware: ["bios", "efi", "efi-secure-boot"],
    tpm: true,
    emulatedDevices: true,
    cpuFraction: true,
    answerFiles: true,
  },
  consoles: { serial: true, vnc: false },
  migration: false,
  hotplug: false,
  agent: false,
};

/**
 * A hypervisor in memory, for tests.
 *
 * What it does not model: time (a guest runs the moment it is started, and a shutdown ends it at once unless
 * {@link ignoreShutdown} is set), resources of hosts, networks, and the content of disks. A console prints one line.
 */
export class FakeHypervisor implements Hypervisor {
  readonly name: string;
  readonly capabilities: HypervisorCapabilities;
  /** Present when the options say so; the capabilities say so too. */
  readonly agent?: GuestAgent;
  readonly hotplug?: Hotplug;
  readonly migration?: FakeMigrations;
  /** When true, guests that are started from now on have an agent inside that answers. */
  withAgents = false;
  /** When true, guests do not follow a shutdown. */
  ignoreShutdown = false;
  readonly #hosts = new Map<string, HostState>();
  /** By host and uid. */
  readonly #guests = new Map<string, Map<string, FakeGuest>>();
  readonly #channels = new Set<BoundedChannel<HypervisorEvent>>();

  constructor({
    name = "fake",
    hosts = ["node-1"],
    memoryBytes = 64 * 2 ** 30,
    agent = false,
    hotplug = false,
    migration = false,
  }: FakeHypervisorOptions = {}) {
    this.name = name;
    this.capabilities = { ...CAPABILITIES, agent, hotplug, migration };
    if (agent) this.agent = this.#makeAgent();
    if (hotplug) this.hotplug = fakeHotplug(this.#facetGuests());
    if (migration) this.migration = new FakeMigrations(this.#facetGuests());
    for (const host of hosts) {
      this.#guests.set(host, new Map());
      this.#hosts.set(host, {
        name: host,
        reachable: true,
        bootId: `boot-of-${host}`,
        hypervisor: "fake",
        hypervisorVersion: "1.0.0",
        cpus: 16,
        memoryBytes,
        labels: {},
        unknownGuests: [],
      });
    }
  }

  async open(): Promise<void> {}

  async hosts(): Promise<readonly HostState[]> {
    return [...this.#hosts.values()];
  }

  async guests(): Promise<GuestList> {
    const answering = [...this.#hosts.values()].filter(({ reachable }) => reachable);
    const guests = answering.flatMap(({ name }) =>
      [...(this.#guests.get(name)?.values() ?? [])].map(({ state }) => state),
    );
    return { guests, hosts: answering.map(({ name }) => name) };
  }

  watch(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    const stop = (): void => {
      this.#channels.delete(channel);
      channel.end();
    };
    const channel = new BoundedChannel<HypervisorEvent>({
      capacity: 100_000,
      onOverflow: () => new Error("the watch of a fake hypervisor overflowed"),
      onReturn: () => this.#channels.delete(channel),
    });
    this.#channels.add(channel);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    return channel;
  }

  async startGuest(spec: GuestSpec, place: Placement, signal: AbortSignal): Promise<GuestState> {
    signal.throwIfAborted();
    if (!("host" in place)) throw refused("a host must be named");
    const { host } = place;
    const guests = this.#on(host);
    const known = guests.get(spec.uid);
    if (known && known.spec.incarnation === spec.incarnation) return known.state;
    if (known && known.spec.incarnation > spec.incarnation) {
      throw refused(`incarnation ${known.spec.incarnation} of the guest was here already`);
    }
    if (known && known.state.power !== "stopped") {
      throw refused(`incarnation ${known.spec.incarnation} of the guest still runs`);
    }
    const { namespace, name, uid, incarnation } = spec;
    for (const { state } of guests.values()) {
      if (state.name === name && state.namespace === namespace && state.uid !== uid) {
        throw refused(`another guest has the name ${namespace}/${name}`);
      }
    }
    const base = { uid, incarnation, namespace, name, host, power: "running" } as const;
    const state = { ...base, ...(this.withAgents && { agentConnected: true }) };
    guests.set(uid, { spec, state });
    this.#emit({ type: "guest", guest: state });
    return state;
  }

  async stopGuest(ref: GuestRef, { host }: GuestLocation, mode: StopMode): Promise<void> {
    const guest = this.#on(host).get(ref.uid);
    if (!guest || guest.state.incarnation !== ref.incarnation || guest.state.power === "stopped")
      return;
    if (mode === "shutdown" && this.ignoreShutdown) return;
    this.#end(guest, mode === "shutdown" ? "guest-shutdown" : "stopped");
  }

  async removeGuest(uid: string, { host }: GuestLocation): Promise<void> {
    const guest = this.#on(host).get(uid);
    if (!guest) return;
    if (guest.state.power !== "stopped") throw refused("the guest still runs");
    this.#on(host).delete(uid);
    this.#emit({ type: "guest-removed", uid, host: guest.state.host });
  }

  readonly consoles: Consoles = {
    openSerial: async ({ uid }: GuestRef): Promise<ByteStream> => {
      const guest = this.guest(uid);
      if (!guest || guest.state.power !== "running") {
        throw new PolyvisorError("POLYVISOR_NOT_FOUND", "the guest does not run");
      }
      const output = new BoundedChannel<Uint8Array>({
        capacity: 1000,
        onOverflow: () => new Error("nobody reads the console"),
      });
      output.push(Buffer.from(`${guest.spec.name} login: `));
      return {
        write: async (bytes) => output.push(bytes),
        [Symbol.asyncIterator]: () => output,
        [Symbol.asyncDispose]: async () => output.end(),
      };
    },
  };

  async [Symbol.asyncDispose](): Promise<void> {
    for (const channel of this.#channels) channel.end();
    this.#channels.clear();
  }

  /** The guest of a VM, on whatever host. */
  guest(uid: string): FakeGuest | undefined {
    return [...this.#guests.values()].map((guests) => guests.get(uid)).find(Boolean);
  }

  /** Every guest that runs. */
  runningGuests(): GuestState[] {
    return [...this.#guests.values()]
      .flatMap((guests) => [...guests.values()].map(({ state }) => state))
      .filter(({ power }) => power !== "stopped");
  }

  /** Ends a guest by itself. */
  endGuest(uid: string, reason: StopReason): void {
    const guest = this.guest(uid);
    if (guest) this.#end(guest, reason);
  }

  /** Cuts a host off, or brings it back. Its guests go on running. */
  setReachable(host: string, reachable: boolean): void {
    this.#update(host, { reachable, ...(!reachable && { message: "cut off by the test" }) });
  }

  /** Puts a guest on a host that carries no mark of ours. */
  addUnknownGuest(host: string, name: string): void {
    this.#update(host, { unknownGuests: [...(this.#hosts.get(host)?.unknownGuests ?? []), name] });
  }

  #facetGuests(): FakeGuests {
    return {
      find: (uid, host) => (host === "" ? this.guest(uid) : this.#guests.get(host)?.get(uid)),
      reach: (host) => void this.#on(host),
      move: (guest, host) => {
        const { uid } = guest.spec;
        this.#guests.get(guest.state.host)?.delete(uid);
        guest.state = { ...guest.state, host };
        this.#guests.get(host)?.set(uid, guest);
      },
      changed: (guest) => {
        const isSeen = this.#hosts.get(guest.state.host)?.reachable;
        if (isSeen) this.#emit({ type: "guest", guest: guest.state });
      },
    };
  }

  #makeAgent(): GuestAgent {
    return {
      info: async (ref, host) => {
        this.#withAgent(ref, host);
        return { version: "1.0", supported: true, addresses: [] };
      },
      freeze: async (ref, host) => this.#setFrozen(this.#withAgent(ref, host), true),
      thaw: async (ref, host) => this.#setFrozen(this.#withAgent(ref, host), false),
    };
  }

  #withAgent({ uid, incarnation }: GuestRef, host: string): FakeGuest {
    const guest = this.#on(host).get(uid);
    const { state } = guest ?? {};
    const isMeant = state?.power === "running" && state.incarnation === incarnation;
    if (guest && isMeant && state.agentConnected === true) return guest;
    throw new PolyvisorError("POLYVISOR_UNAVAILABLE", "no agent answers");
  }

  #setFrozen(guest: FakeGuest, frozen: boolean): void {
    if ((guest.state.frozen ?? false) === frozen) return;
    guest.state = { ...guest.state, frozen };
    this.#emit({ type: "guest", guest: guest.state });
  }

  #on(host: string | undefined): Map<string, FakeGuest> {
    const guests = host === undefined ? undefined : this.#guests.get(host);
    if (guests && host !== undefined && this.#hosts.get(host)?.reachable) return guests;
    throw new PolyvisorError("POLYVISOR_UNAVAILABLE", `host "${host}" does not answer`);
  }

  #update(host: string, change: Partial<HostState>): void {
    const before = this.#hosts.get(host);
    if (before) this.#hosts.set(host, { ...before, ...change });
    this.#emit({ type: "host", host });
  }

  #end(guest: FakeGuest, stopReason: StopReason): void {
    this.migration?.finish(guest, "failed");
    guest.state = { ...guest.state, power: "stopped", stopReason };
    if (this.#hosts.get(guest.state.host)?.reachable)
      this.#emit({ type: "guest", guest: guest.state });
  }

  #emit(event: HypervisorEvent): void {
    for (const channel of this.#channels) channel.push(event);
  }
}

function refused(reason: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", reason);
}
