import {
  type BlockSource,
  type Clock,
  PolyvisorError,
  type SparseStream,
  type Storage,
  type StorageCapabilities,
  type StorageClassInfo,
  type VolumeContent,
  type VolumeExpansion,
  type VolumeSnapshots,
  type VolumeSnapshotSpec,
  type VolumeSnapshotState,
  type VolumeSource,
  type VolumeSpec,
  type VolumeState,
} from "@polyvisor/core";
import type { EventLog } from "../event-log.ts";
import type { Verb } from "../faults/fault.ts";
import type { DiskAccess } from "../guests/disk-access.ts";
import type { GuestRun } from "../guests/guest-run.ts";
import type { SimulatedHost } from "../hosts/simulated-host.ts";
import type { Network } from "../network/network.ts";
import type { Wire } from "../network/wire.ts";
import { readDuration } from "../time/duration.ts";
import { pause } from "../time/pause.ts";
import { Content, ContentStream, readContent } from "./content.ts";
import {
  keyOf,
  type SimulatedSnapshot,
  type SimulatedVolume,
  type VolumeDirectory,
} from "./simulated-volume.ts";
import { type KnownClass, knownClass } from "./known-class.ts";
import type { StorageOptions } from "./storage-options.ts";

const GIBIBYTE = 2 ** 30;
/** Milliseconds between reports of progress. */
const PROGRESS_STEP = 500;

/** A storage in memory, with time, capacity and faults. */
export class SimulatedStorage implements Storage {
  readonly name: string;
  readonly capabilities: StorageCapabilities;
  readonly content: VolumeContent;
  readonly expansion?: VolumeExpansion;
  readonly snapshots?: VolumeSnapshots;
  readonly volumes: Map<string, SimulatedVolume> = new Map();
  readonly #snapshots = new Map<string, SimulatedSnapshot>();
  readonly #classes: readonly KnownClass[];
  readonly #options: StorageOptions;
  readonly #latency: number;
  readonly #clock: Clock;
  readonly #log: EventLog;
  readonly #network: Network;
  readonly #wire: Wire;
  readonly #access: DiskAccess;
  readonly #directory: VolumeDirectory;
  readonly #hosts: ReadonlyMap<string, SimulatedHost>;
  readonly #delegated: boolean;
  #usedBytes = 0;
  /** True while it takes nothing more, whatever its capacity. */
  isFull = false;

  constructor(
    options: StorageOptions,
    context: {
      readonly clock: Clock;
      readonly log: EventLog;
      readonly network: Network;
      readonly wire: Wire;
      readonly access: DiskAccess;
      readonly directory: VolumeDirectory;
      readonly hosts: ReadonlyMap<string, SimulatedHost>;
      readonly delegated: boolean;
    },
  ) {
    const { name, gives = "block", lacks = [], latency = "5ms" } = options;
    this.name = name;
    this.#options = options;
    this.#latency = readDuration(latency, `storage ${name}: latency`);
    this.#clock = context.clock;
    this.#log = context.log;
    this.#network = context.network;
    this.#wire = context.wire;
    this.#access = context.access;
    this.#directory = context.directory;
    this.#hosts = context.hosts;
    this.#delegated = context.delegated;
    const able = (what: "expansion" | "snapshots" | "cloning"): boolean => !lacks.includes(what);
    this.capabilities = {
      blockSources: [context.delegated ? "claim" : gives],
      expansion: able("expansion"),
      snapshots: able("snapshots"),
      cloning: able("cloning"),
    };
    const classes = options.classes ?? [{ name }];
    this.#classes = classes.map((each, index) => knownClass(each, index, this.capabilities));
    this.content = {
      fill: (volume, stream, fill) => this.#fill(volume, stream, fill),
      read: (source, { signal }) =>
        this.#call("read", signal, () => this.#sourceContent(source).stream()),
    };
    if (able("expansion"))
      this.expansion = {
        expand: (volume, sizeBytes, signal) =>
          this.#call("expand", signal, () => this.#expand(volume, sizeBytes)),
      };
    if (able("snapshots"))
      this.snapshots = {
        create: (spec, signal) =>
          this.#call("createSnapshot", signal, () => this.#createSnapshot(spec)),
        get: (snapshot, signal) =>
          this.#call("getSnapshot", signal, () => {
            const found = this.#snapshots.get(snapshot);
            return found && stateOf(found);
          }),
        delete: (snapshot, signal) =>
          this.#call("deleteSnapshot", signal, () => this.#deleteSnapshot(snapshot)),
      };
  }

  async open(signal: AbortSignal): Promise<void> {
    signal.throwIfAborted();
  }

  classes(signal: AbortSignal): Promise<readonly StorageClassInfo[]> {
    return this.#call("classes", signal, () => this.#classes.map(({ info }) => info));
  }

  createVolume(spec: VolumeSpec, signal: AbortSignal): Promise<VolumeState> {
    return this.#call("createVolume", signal, () => this.#create(spec));
  }

  getVolume(name: string, signal: AbortSignal): Promise<VolumeState | undefined> {
    return this.#call("getVolume", signal, () => this.volumes.get(name)?.state);
  }

  deleteVolume(name: string, signal: AbortSignal): Promise<void> {
    return this.#call("deleteVolume", signal, () => {
      const volume = this.volumes.get(name);
      if (volume === undefined) return;
      const [user] = this.#access.usersOf(keyOf(volume.source));
      if (user) throw refused(`volume "${name}" is in use by guest ${user.title}`);
      this.#remove(volume, "volume-deleted");
    });
  }

  attach(name: string, host: string | undefined, signal: AbortSignal): Promise<BlockSource> {
    const act = (): BlockSource => {
      const volume = this.#volume(name);
      if (this.#delegated) {
        if (host !== undefined) throw refused("the cluster brings volumes to its hosts by itself");
        return volume.source;
      }
      if (host === undefined || !this.#hosts.has(host))
        throw refused(`volume "${name}" is attached to a host: there is no host ${host}`);
      this.#attach(volume, host);
      return volume.source;
    };
    return this.#call("attach", signal, act, host);
  }

  detach(name: string, host: string | undefined, signal: AbortSignal): Promise<void> {
    const act = (): void => {
      const volume = this.volumes.get(name);
      if (this.#delegated || host === undefined || !volume?.attached.has(host)) return;
      const users = this.#access.usersOf(keyOf(volume.source));
      const user = users.find((run) => run.host.name === host);
      if (user)
        throw refused(`volume "${name}" is in use by guest ${user.title} on host "${host}"`);
      volume.attached.delete(host);
      this.#log.record("volume-detached", { storage: this.name, volume: name, host });
    };
    return this.#call("detach", signal, act, host);
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  /** A volume is gone, with what it held; gives back the guests that have it open. */
  lose(name: string): readonly GuestRun[] {
    const volume = this.#volume(name);
    const users = this.#access.usersOf(keyOf(volume.source));
    this.#remove(volume, "volume-lost");
    return users;
  }

  #create(spec: VolumeSpec): VolumeState {
    const known = this.volumes.get(spec.name)?.state;
    if (known) {
      if (known.sizeBytes === spec.sizeBytes && known.storageClass === spec.storageClass)
        return known;
      throw new PolyvisorError(
        "POLYVISOR_ALREADY_EXISTS",
        `volume "${spec.name}" has ${known.sizeBytes} bytes and class ${known.storageClass}`,
      );
    }
    const storageClass = this.#class(spec.storageClass);
    const offered = storageClass.info.uses.some(
      ({ accessMode, volumeMode }) =>
        accessMode === spec.use.accessMode && volumeMode === spec.use.volumeMode,
    );
    if (!offered)
      throw refused(
        `class ${spec.storageClass} has no volumes that are ${spec.use.accessMode} and ${spec.use.volumeMode}`,
      );
    const content = this.#firstContent(spec);
    this.#reserve(spec.sizeBytes);
    const hosts = storageClass.local
      ? this.#localHost(spec, storageClass)
      : storageClass.hosts && [...storageClass.hosts];
    const { name, sizeBytes, use } = spec;
    const state: VolumeState = {
      name,
      storageClass: spec.storageClass,
      sizeBytes,
      use,
      ...(hosts && { hosts }),
    };
    const volume: SimulatedVolume = {
      storage: this.name,
      local: storageClass.local,
      state,
      content,
      source: this.#sourceOf(name),
      attached: new Set(),
    };
    this.volumes.set(name, volume);
    this.#directory.add(volume);
    const { storageClass: className } = spec;
    this.#log.record("volume-created", {
      storage: this.name,
      volume: name,
      class: className,
      sizeBytes,
      from: spec.source?.name,
    });
    return state;
  }

  #firstContent({ source, sizeBytes }: VolumeSpec): Content {
    if (source === undefined) return new Content(sizeBytes);
    if (source.type === "volume" && !this.capabilities.cloning)
      throw refused(`storage "${this.name}" makes no volumes of volumes`);
    const content = this.#sourceContent(source);
    if (content.sizeBytes > sizeBytes)
      throw new PolyvisorError(
        "POLYVISOR_INVALID",
        `${source.type} "${source.name}" has ${content.sizeBytes} bytes: a volume of ${sizeBytes} is too small for it`,
      );
    return content.resized(sizeBytes);
  }

  #localHost(spec: VolumeSpec, { hosts }: KnownClass): string[] | undefined {
    if (spec.host !== undefined) {
      if (!this.#hosts.has(spec.host) || hosts?.includes(spec.host) === false)
        throw refused(`class ${spec.storageClass} has no volumes on host "${spec.host}"`);
      return [spec.host];
    }
    // The cluster chooses when the first guest is started.
    if (this.#delegated) return hosts && [...hosts];
    const candidates = [...(hosts ?? this.#hosts.keys())];
    const count = (host: string): number =>
      [...this.volumes.values()].filter(({ state }) => state.hosts?.[0] === host).length;
    const [first] = candidates.toSorted((a, b) => count(a) - count(b));
    return first === undefined ? undefined : [first];
  }

  #attach(volume: SimulatedVolume, host: string): void {
    const { attached, state } = volume;
    if (attached.has(host)) return;
    if (state.hosts && !state.hosts.includes(host))
      throw refused(`volume "${state.name}" does not reach host "${host}"`);
    const [other] = attached;
    if (state.use.accessMode === "ReadWriteOnce" && other !== undefined)
      throw refused(`volume "${state.name}" is attached to host "${other}"`);
    if (!this.#network.isUp(host, this.name))
      throw new PolyvisorError(
        "POLYVISOR_UNAVAILABLE",
        `host "${host}" does not reach storage "${this.name}"`,
      );
    attached.add(host);
    this.#log.record("volume-attached", { storage: this.name, volume: state.name, host });
  }

  async #fill(
    name: string,
    stream: SparseStream,
    { signal, onProgress }: Parameters<VolumeContent["fill"]>[2],
  ): Promise<void> {
    await this.#call("fill", signal, async () => {
      const volume = this.#volume(name);
      const { sizeBytes } = volume.state;
      if (stream.sizeBytes > sizeBytes)
        throw new PolyvisorError(
          "POLYVISOR_INVALID",
          `the content has ${stream.sizeBytes} bytes, and volume "${name}" has room for ${sizeBytes}`,
        );
      this.#checkRoom(0);
      const content =
        stream instanceof ContentStream
          ? stream.content
          : await readContent(stream, signal, () => {});
      await this.#takeTime(content, stream.sizeBytes, signal, onProgress);
      this.#checkRoom(0);
      // It may have been deleted meanwhile.
      if (this.volumes.get(name) !== volume) throw notFound(`volume "${name}"`);
      volume.content = content.resized(sizeBytes);
      this.#log.record("volume-filled", { storage: this.name, volume: name });
    });
  }

  /** Lets as much time pass as it takes to write a content, and reports how far it has come. */
  async #takeTime(
    content: Content,
    sizeBytes: number,
    signal: AbortSignal,
    onProgress: ((bytes: number) => void) | undefined,
  ): Promise<void> {
    const { bytesPerSecond = GIBIBYTE } = this.#options;
    const total = (1000 * content.weightBytes) / bytesPerSecond;
    for (let passed = 0; passed < total;) {
      const step = Math.min(PROGRESS_STEP, total - passed);
      await pause(this.#clock, Math.ceil(step), signal);
      passed += step;
      if (passed < total) onProgress?.(Math.floor((sizeBytes * passed) / total));
    }
    onProgress?.(sizeBytes);
  }

  #expand(name: string, sizeBytes: number): VolumeState {
    const volume = this.#volume(name);
    const { state } = volume;
    if (sizeBytes <= state.sizeBytes) return state;
    if (!this.#class(state.storageClass).info.expandable)
      throw refused(`volumes of class ${state.storageClass} do not grow`);
    this.#reserve(sizeBytes - state.sizeBytes);
    volume.state = { ...state, sizeBytes };
    volume.content = volume.content.resized(sizeBytes);
    this.#log.record("volume-expanded", { storage: this.name, volume: name, sizeBytes });
    return volume.state;
  }

  #createSnapshot({ name, volume: volumeName }: VolumeSnapshotSpec): VolumeSnapshotState {
    const known = this.#snapshots.get(name);
    if (known?.volume === volumeName) return stateOf(known);
    if (known)
      throw new PolyvisorError(
        "POLYVISOR_ALREADY_EXISTS",
        `snapshot "${name}" is of volume "${known.volume}"`,
      );
    const volume = this.#volume(volumeName);
    const { storageClass } = volume.state;
    if (this.#class(storageClass).info.snapshotClass === undefined)
      throw refused(`volumes of class ${storageClass} have no snapshots`);
    this.#checkRoom(0);
    const snapshot = { name, volume: volumeName, storageClass, content: volume.content };
    this.#snapshots.set(name, snapshot);
    const users = this.#access.usersOf(keyOf(volume.source));
    const consistent = users.every(({ frozen }) => frozen);
    this.#log.record("snapshot-created", {
      storage: this.name,
      snapshot: name,
      volume: volumeName,
      consistent,
    });
    return stateOf(snapshot);
  }

  #deleteSnapshot(name: string): void {
    if (!this.#snapshots.delete(name)) return;
    this.#log.record("snapshot-deleted", { storage: this.name, snapshot: name });
  }

  #sourceContent({ type, name }: VolumeSource): Content {
    if (type === "volume") return this.#volume(name).content;
    const snapshot = this.#snapshots.get(name);
    if (snapshot) return snapshot.content;
    throw notFound(`snapshot "${name}"`);
  }

  #volume(name: string): SimulatedVolume {
    const volume = this.volumes.get(name);
    if (volume) return volume;
    throw notFound(`volume "${name}"`);
  }

  #class(name: string): KnownClass {
    const found = this.#classes.find(({ info }) => info.name === name);
    if (found) return found;
    throw notFound(`storage class "${name}"`);
  }

  #sourceOf(volume: string): BlockSource {
    if (this.#delegated) return { type: "claim", namespace: this.name, name: volume };
    return this.#options.gives === "file"
      ? { type: "file", path: `/var/lib/simulator/${this.name}/${volume}.raw`, format: "raw" }
      : { type: "block", path: `/dev/simulator/${this.name}/${volume}` };
  }

  #remove(volume: SimulatedVolume, event: string): void {
    const { name, sizeBytes } = volume.state;
    this.volumes.delete(name);
    this.#directory.remove(volume);
    this.#usedBytes -= sizeBytes;
    this.#log.record(event, { storage: this.name, volume: name });
  }

  #reserve(bytes: number): void {
    this.#checkRoom(bytes);
    this.#usedBytes += bytes;
  }

  #checkRoom(bytes: number): void {
    const { capacityBytes = 100 * 2 ** 40 } = this.#options;
    const left = this.isFull ? 0 : capacityBytes - this.#usedBytes;
    if (!this.isFull && bytes <= left) return;
    throw new PolyvisorError(
      "POLYVISOR_EXHAUSTED",
      `storage "${this.name}" has ${left} bytes left: delete volumes or add capacity`,
    );
  }

  #call<T>(verb: Verb, signal: AbortSignal, act: () => T | Promise<T>, host?: string): Promise<T> {
    const described = `storage "${this.name}"`;
    const latency = this.#latency;
    return this.#wire.call(
      { verb, storage: this.name, host, to: this.name, described, latency, signal },
      act,
    );
  }
}

function stateOf({ name, volume, storageClass, content }: SimulatedSnapshot): VolumeSnapshotState {
  return { name, volume, storageClass, sizeBytes: content.sizeBytes };
}

function refused(message: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_REFUSED", message);
}

function notFound(what: string): PolyvisorError {
  return new PolyvisorError("POLYVISOR_NOT_FOUND", `${what} does not exist`);
}
