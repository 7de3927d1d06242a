import {
  createPlatform,
  type GuestState,
  type Kind,
  type Kinds,
  memoryStore,
  type Platform,
  type ResourceStore,
  type StorageClassInfo,
  type VirtualMachine,
} from "@polyvisor/core";
import {
  FakeClock,
  FakeHypervisor,
  FakeImageStore,
  FakeStorage,
  type Faulty,
  withFaults,
} from "@polyvisor/core/testing";
import { type Gated, withGates } from "./gates.ts";
import { recordingLogger } from "./logger.ts";
import { unknownWords } from "./vocabulary.ts";

/** What a {@link World} is made of. */
export interface WorldOptions {
  readonly hosts?: readonly string[];
  readonly memoryBytes?: number;
  readonly cidrs?: readonly string[];
  readonly hypervisor?: FakeHypervisor;
  readonly storageClasses?: readonly StorageClassInfo[];
  /** Default true. */
  readonly uploads?: boolean;
}

/** A platform on fakes that outlive it, under virtual time: the manager can be started anew on the same hosts and store. */
export class World implements AsyncDisposable {
  readonly clock = new FakeClock();
  readonly logger = recordingLogger();
  readonly hypervisor: FakeHypervisor;
  readonly storage: FakeStorage;
  readonly images = new FakeImageStore();
  readonly store: ResourceStore = memoryStore({ clock: this.clock });
  readonly hypervisorGates: Gated<FakeHypervisor>;
  readonly hypervisorFaults: Faulty<FakeHypervisor>;
  readonly storageFaults: Faulty<FakeStorage>;
  readonly imageGates: Gated<FakeImageStore> = withGates(this.images);
  readonly imageFaults: Faulty<FakeImageStore> = withFaults(this.imageGates.port);
  /** How many more writes the store takes from the manager; with 0 it is cut off, as a manager is that has died. */
  writesLeft = Number.POSITIVE_INFINITY;
  readonly #cidrs: readonly string[];
  readonly #uploads: boolean;
  #platform: Platform | undefined;

  private constructor(options: WorldOptions) {
    const { hosts = ["node-1", "node-2"], memoryBytes = 64 * 2 ** 30 } = options;
    this.#cidrs = options.cidrs ?? ["10.66.10.0/24"];
    this.hypervisor =
      options.hypervisor ??
      new FakeHypervisor({ hosts, memoryBytes, agent: true, hotplug: true, migration: true });
    this.#uploads = options.uploads ?? true;
    const { storageClasses: classes } = options;
    this.storage = new FakeStorage({ ...(classes && { classes }) });
    this.storageFaults = withFaults(this.storage);
    this.hypervisorGates = withGates(this.hypervisor);
    this.hypervisorFaults = withFaults(this.hypervisorGates.port);
  }

  static async open(options: WorldOptions = {}): Promise<World> {
    const world = new World(options);
    await world.start();
    return world;
  }

  get platform(): Platform {
    if (this.#platform === undefined) throw new Error("the manager does not run");
    return this.#platform;
  }

  /** Starts the manager. */
  async start(): Promise<void> {
    this.#platform = await createPlatform({
      backends: [{ hypervisor: this.hypervisorFaults.port, storage: this.storageFaults.port }],
      imageStore: this.imageFaults.port,
      ...(this.#uploads && { uploads: UPLOADS }),
      store: this.#storeOfManager(),
      settings: { virtualMachineCIDRs: this.#cidrs },
      clock: this.clock,
      logger: this.logger,
    });
  }

  /** Ends the manager, as far as the fakes can tell by a crash. */
  async stop(): Promise<void> {
    await this.#platform?.[Symbol.asyncDispose]();
    this.#platform = undefined;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async apply(...manifests: object[]): Promise<void> {
    await this.platform.apply(manifests);
  }

  /** Lets time pass. */
  async pass(milliseconds: number): Promise<void> {
    await this.clock.advance(milliseconds);
  }

  /** Lets time pass, an hour at most, until `check` gives something. */
  async until<T>(what: string, check: () => T | Promise<T>): Promise<NonNullable<T>> {
    for (let step = 0; step < 400; step += 1) {
      const found = await check();
      if (found) return found;
      await this.clock.advance(step < 20 ? 50 : 9_500);
    }
    throw new Error(`${what} never came true; ${this.logger.lines.slice(-5).join("; ")}`);
  }

  /** Waits for a phase; other than `waitFor`, a phase of Failed on the way is no error. */
  untilPhase<K extends Kind>(kind: K, name: string, phase: string): Promise<NonNullable<Kinds[K]>> {
    return this.until(`${kind} ${name} ${phase}`, async () => {
      const found = await this.find(kind, name);
      const status = found && "status" in found ? (found.status as { phase?: string }) : undefined;
      return status?.phase === phase ? found : undefined;
    });
  }

  untilGone(kind: Kind, name: string): Promise<boolean> {
    return this.until(`${kind} ${name} gone`, async () => !(await this.find(kind, name)));
  }

  find<K extends Kind>(kind: K, name: string): Promise<Kinds[K] | undefined> {
    return this.platform
      .client(kind)
      .get(name)
      .catch(() => undefined);
  }

  vm(name: string): Promise<VirtualMachine> {
    return this.platform.virtualMachines.get(name);
  }

  /** The message of a condition. */
  async message(kind: Kind, name: string, type: string): Promise<string | undefined> {
    const found = (await this.find(kind, name)) as VirtualMachine | undefined;
    return found?.status?.conditions.find((condition) => condition.type === type)?.message;
  }

  /** The guests that run, by name. */
  running(): GuestState[] {
    return this.hypervisor.runningGuests().toSorted((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Every story ends with a look at the words in the statuses. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
    const unknown = await unknownWords(this.store);
    await this.store[Symbol.asyncDispose]();
    if (unknown.length > 0) throw new Error(`unknown words in statuses: ${unknown.join("; ")}`);
  }

  /** The store as a platform gets it, which does not take it along when it is disposed of. */
  #storeOfManager(): ResourceStore {
    const write = (): void => {
      if (this.writesLeft <= 0) throw new Error("the store takes nothing more");
      this.writesLeft -= 1;
    };
    return new Proxy(this.store, {
      get(inner, property) {
        if (property === Symbol.asyncDispose) return async () => {};
        const member: unknown = Reflect.get(inner, property, inner);
        if (typeof member !== "function") return member;
        const method = member.bind(inner) as (...args: unknown[]) => unknown;
        if (!WRITES.has(property)) return method;
        return async (...args: unknown[]) => {
          write();
          return method(...args);
        };
      },
    });
  }
}

const UPLOADS = {
  external: "https://virtualization.example.com",
  inCluster: "http://10.222.165.239",
};

const WRITES: ReadonlySet<string | symbol> = new Set([
  "create",
  "update",
  "updateStatus",
  "delete",
]);
