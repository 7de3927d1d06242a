import {
  BoundedChannel,
  type ByteStream,
  type Consoles,
  type GuestList,
  type GuestLocation,
  type GuestRef,
  type GuestSpec,
  type GuestState,
  type HostState,
  type Hypervisor,
  type HypervisorCapabilities,
  type HypervisorEvent,
  type Placement,
  PolyvisorError,
  type StopMode,
} from "@polyvisor/core";
import { removeGuest, startGuest, stopGuest } from "./host/guest-operations.ts";
import type { HostSet } from "./host/host-set.ts";
import type { LibvirtHost } from "./host/libvirt-host.ts";
import { translated } from "./host/translate-error.ts";
import { openConsole } from "./rpc/console-stream.ts";

/** Events that may wait for the reader before it is told to start over. */
const WATCH_CAPACITY = 10_000;

/** Runs guests on libvirt hosts. */
export class LibvirtHypervisor implements Hypervisor {
  readonly name: string;
  readonly capabilities: HypervisorCapabilities = {
    blockSources: ["file", "block"],
    placement: "explicit",
    guests: {
      osTypes: ["generic"],
      firmware: ["bios"],
      tpm: false,
      emulatedDevices: false,
      cpuFraction: true,
      answerFiles: false,
    },
    consoles: { serial: true, vnc: false },
    migration: false,
    hotplug: false,
    agent: false,
  };
  readonly consoles: Consoles = { openSerial: (ref, options) => this.#openSerial(ref, options) };
  readonly #hosts: HostSet;

  constructor(name: string, hosts: HostSet) {
    this.name = name;
    this.#hosts = hosts;
  }

  open(signal: AbortSignal): Promise<void> {
    return this.#hosts.open(signal);
  }

  hosts(signal: AbortSignal): Promise<readonly HostState[]> {
    return Promise.all(this.#hosts.all().map((host) => host.state(signal)));
  }

  async guests(signal: AbortSignal): Promise<GuestList> {
    const answers = await Promise.all(
      this.#hosts
        .all()
        .filter((host) => host.isReachable)
        .map(async (host) => ({ host, domains: await this.#domains(host, signal) })),
    );
    const answered = answers.filter(({ domains }) => domains !== undefined);
    return {
      guests: answered.flatMap(({ domains }) =>
        (domains ?? []).flatMap(({ state }) => state ?? []),
      ),
      hosts: answered.map(({ host }) => host.name),
    };
  }

  watch(signal: AbortSignal): AsyncIterable<HypervisorEvent> {
    const stop = (): void => {
      signal.removeEventListener("abort", stop);
      for (const host of this.#hosts.all()) host.unsubscribe(channel);
      channel.end();
    };
    const channel = new BoundedChannel<HypervisorEvent>({
      capacity: WATCH_CAPACITY,
      onOverflow: () =>
        new PolyvisorError("POLYVISOR_EXPIRED", "the reader of the events fell too far behind"),
      onReturn: stop,
    });
    for (const host of this.#hosts.all()) host.subscribe(channel);
    if (signal.aborted) stop();
    signal.addEventListener("abort", stop, { once: true });
    return channel;
  }

  async startGuest(spec: GuestSpec, place: Placement, signal: AbortSignal): Promise<GuestState> {
    if (!("host" in place)) {
      const message = `hypervisor "${this.name}" chooses no hosts by itself: name one`;
      throw new PolyvisorError("POLYVISOR_REFUSED", message);
    }
    return this.#change(spec.uid, place, (host) => startGuest(host, spec, signal));
  }

  stopGuest(
    ref: GuestRef,
    where: GuestLocation,
    mode: StopMode,
    signal: AbortSignal,
  ): Promise<void> {
    return this.#change(ref.uid, where, (host) => stopGuest(host, ref, mode, signal));
  }

  removeGuest(uid: string, where: GuestLocation, signal: AbortSignal): Promise<void> {
    return this.#change(uid, where, (host) => removeGuest(host, uid, signal));
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#hosts.release();
  }

  async #change<T>(
    uid: string,
    { host: name }: GuestLocation,
    work: (host: LibvirtHost) => Promise<T>,
  ): Promise<T> {
    if (name === undefined) {
      throw new PolyvisorError("POLYVISOR_REFUSED", `guest ${uid} is on no host`);
    }
    const host = this.#hosts.get(name);
    return host.guestMutex.run(uid, () => translated(name, () => work(host)));
  }

  /** The domains of a host; `undefined` when it has just stopped answering. */
  async #domains(
    host: LibvirtHost,
    signal: AbortSignal,
  ): Promise<Awaited<ReturnType<LibvirtHost["domains"]>> | undefined> {
    try {
      return await host.domains(signal);
    } catch {
      signal.throwIfAborted();
      return undefined;
    }
  }

  async #openSerial(
    { uid, incarnation }: GuestRef,
    { signal = new AbortController().signal }: { readonly signal?: AbortSignal },
  ): Promise<ByteStream> {
    for (const host of this.#hosts.all().filter(({ isReachable }) => isReachable)) {
      const stream = await translated(host.name, async () => {
        const domain = await host.domain(uid, signal);
        const { state } = domain ?? {};
        if (!domain || state?.incarnation !== incarnation || state.power === "stopped")
          return undefined;
        return openOn(host, domain.handle, signal);
      });
      if (stream) return stream;
    }
    throw new PolyvisorError(
      "POLYVISOR_NOT_FOUND",
      "the guest does not run on a host that answers",
    );
  }
}

async function openOn(
  host: LibvirtHost,
  domain: Parameters<typeof openConsole>[1]["domain"],
  signal: AbortSignal,
): Promise<ByteStream> {
  const connection = await host.connections.dedicated({ signal });
  try {
    const console = await openConsole(connection, { domain, force: true }, { signal });
    return {
      write: (bytes) => translated(host.name, () => console.write(bytes)),
      [Symbol.asyncIterator]: () => console[Symbol.asyncIterator](),
      [Symbol.asyncDispose]: async () => {
        await console[Symbol.asyncDispose]();
        await connection.close();
      },
    };
  } catch (error) {
    await connection.close();
    throw error;
  }
}
