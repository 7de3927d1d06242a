import { findKind, type Kind, KINDS } from "../api/kinds.ts";
import { DEFAULT_NAMESPACE } from "../api/meta.ts";
import { MODULE_CONFIG, MODULE_CONFIG_NAME, type ModuleSettings } from "../api/module-config.ts";
import { whyNotTaken } from "../api/not-yet.ts";
import type { Backend } from "../backend/backend.ts";
import type { ImageStore } from "../backend/image-store.ts";
import { ClaimController } from "../controllers/claim-controller.ts";
import { ipAddresses } from "../controllers/ip-address-sort.ts";
import { macAddresses } from "../controllers/mac-address-sort.ts";
import { MacLeaseController } from "../controllers/mac-lease-controller.ts";
import { AttachmentController } from "../controllers/attachment-controller.ts";
import { ClassController } from "../controllers/class-controller.ts";
import { DiskController } from "../controllers/disk-controller.ts";
import { EventRecorder } from "../controllers/event-recorder.ts";
import { DiskSnapshotController } from "../controllers/disk-snapshot-controller.ts";
import { EvictionController } from "../controllers/eviction-controller.ts";
import { Fleet } from "../controllers/fleet.ts";
import { ImageController } from "../controllers/image-controller.ts";
import { LeaseController } from "../controllers/lease-controller.ts";
import { reportMachineEvents } from "../controllers/machine-event-reporter.ts";
import { MachineController } from "../controllers/machine-controller.ts";
import { NamespaceController } from "../controllers/namespace-controller.ts";
import { OperationController } from "../controllers/operation-controller.ts";
import { OperationRetentionController } from "../controllers/operation-retention-controller.ts";
import { MachineSnapshotController } from "../controllers/machine-snapshot-controller.ts";
import { NodeController } from "../controllers/node-controller.ts";
import { Caches } from "../controllers/runtime/caches.ts";
import { RestorationController } from "../controllers/restoration-controller.ts";
import { KeyedMutex } from "../controllers/runtime/keyed-mutex.ts";
import { PoolController } from "../controllers/pool-controller.ts";
import { SnapshotOperationController } from "../controllers/snapshot-operation-controller.ts";
import { StorageClassController } from "../controllers/storage-class-controller.ts";
import { StorageRegistry } from "../controllers/storage-registry.ts";
import { type UploadAddresses, Uploads } from "../controllers/uploads.ts";
import { memoryStore } from "../store/memory-store.ts";
import type { ResourceStore } from "../store/resource-store.ts";
import type { Clock } from "../util/clock.ts";
import { DisposerStack } from "../util/disposer-stack.ts";
import { PolyvisorError } from "../util/errors.ts";
import { isPlainObject } from "../util/json.ts";
import { type Logger, silentLogger } from "../util/logger.ts";
import type { RandomSource } from "../util/random-source.ts";
import { systemClock, systemRandom } from "../util/system.ts";
import { Container } from "./container.ts";
import { ensureNamespace } from "./ensure-namespace.ts";
import type { AppliedResource, Platform } from "./platform.ts";
import { NodeClient } from "./node-client.ts";
import { createPredefinedClasses } from "./predefined-classes.ts";
import { readManifests } from "./read-manifests.ts";
import { type ManifestOf, type Applied, ResourceClient } from "./resource-client.ts";
import { PARTS } from "./tokens.ts";
import { validateManifest } from "./validate-manifest.ts";
import { VirtualMachinePoolClient } from "./virtual-machine-pool-client.ts";
import { VirtualMachineClient } from "./virtual-machine-client.ts";

/** What a platform is made of. Everything that is given is disposed of with the platform. */
export interface PlatformOptions {
  /** Hypervisors and storages. */
  readonly backends: readonly Backend[];
  /** Where images are kept. Without one, images and disks made of them stay Pending and say so. */
  readonly imageStore?: ImageStore;
  /** Where `uploadHandler` is reached. Without it, images and disks of type Upload stay Pending and say so. */
  readonly uploads?: UploadAddresses;
  /** Where resources are kept. Default: in memory, gone with the process. */
  readonly store?: ResourceStore;
  /** First settings; those that the store has already (ModuleConfig `virtualization`) win. */
  readonly settings?: Partial<ModuleSettings>;
  /** Default: nothing is written. */
  readonly logger?: Logger;
  /** Default: the machine's clock. */
  readonly clock?: Clock;
  /** Default: the operating system's. */
  readonly random?: RandomSource;
}

/**
 * Opens the backends and starts the controllers.
 *
 * @throws `POLYVISOR_INVALID` for settings that break a rule, `POLYVISOR_UNSUPPORTED` for a storage whose volumes no
 *   hypervisor can use, and whatever a backend fails with that cannot be opened.
 */
export async function createPlatform(options: PlatformOptions): Promise<Platform> {
  const parts = bindParts(options);
  const store = parts.use(PARTS.store);
  const disposers = new DisposerStack();
  const ending = new AbortController();
  try {
    disposers.use(store);
    checkPairings(options.backends);
    await openBackends(options, disposers, ending.signal);
    const clients = createClients(parts);
    await createSettings(clients.client("ModuleConfig"), options.settings ?? {});
    await createPredefinedClasses(store);
    await ensureNamespace(store, DEFAULT_NAMESPACE);
    await startControllers(parts, disposers, ending);
    return {
      ...clients,
      receiveUpload: (token, upload) => parts.use(PARTS.uploads).receive(token, upload),
      apply: (manifests) => applyManifests(clients.client, manifests),
      [Symbol.asyncDispose]: () => disposers[Symbol.asyncDispose](),
    };
  } catch (error) {
    ending.abort();
    await disposers[Symbol.asyncDispose]();
    throw error;
  }
}

function bindParts(options: PlatformOptions): Container {
  const parts = new Container();
  const { backends, imageStore } = options;
  parts.bind(PARTS.clock, () => options.clock ?? systemClock);
  parts.bind(PARTS.random, () => options.random ?? systemRandom);
  parts.bind(PARTS.logger, () => options.logger ?? silentLogger);
  parts.bind(PARTS.imageStore, () => imageStore);
  parts.bind(PARTS.uploads, (all) => {
    const [clock, random] = [all.use(PARTS.clock), all.use(PARTS.random)];
    return new Uploads({ clock, random, addresses: options.uploads });
  });
  parts.bind(PARTS.caches, () => new Caches());
  parts.bind(PARTS.store, (all) => {
    const [clock, random] = [all.use(PARTS.clock), all.use(PARTS.random)];
    return options.store ?? memoryStore({ clock, random });
  });
  parts.bind(PARTS.fleet, (all) => {
    const [clock, logger] = [all.use(PARTS.clock), all.use(PARTS.logger)];
    return new Fleet(
      backends.flatMap(({ hypervisor }) => hypervisor ?? []),
      { clock, logger },
    );
  });
  parts.bind(
    PARTS.storages,
    () => new StorageRegistry(backends.flatMap(({ storage }) => storage ?? [])),
  );
  parts.bind(PARTS.events, (all) => {
    const [store, clock, logger] = [
      all.use(PARTS.store),
      all.use(PARTS.clock),
      all.use(PARTS.logger),
    ];
    return new EventRecorder({ store, clock, logger });
  });
  parts.bind(PARTS.context, (all) => ({
    store: all.use(PARTS.store),
    caches: all.use(PARTS.caches),
    clock: all.use(PARTS.clock),
    random: all.use(PARTS.random),
    logger: all.use(PARTS.logger),
    events: all.use(PARTS.events),
    fleet: all.use(PARTS.fleet),
    storages: all.use(PARTS.storages),
    imageStore: all.use(PARTS.imageStore),
    uploads: all.use(PARTS.uploads),
  }));
  parts.bind(PARTS.controllers, (all) => {
    const context = all.use(PARTS.context);
    reportMachineEvents(context);
    const gate = new KeyedMutex();
    return [
      new ClaimController(context, ipAddresses(context)),
      new ClaimController(context, macAddresses(context, all.use(PARTS.random))),
      new AttachmentController(context),
      new ClassController(context),
      new DiskController(context),
      new DiskSnapshotController(context, gate),
      all.use(PARTS.events),
      new EvictionController(context),
      new ImageController("ClusterVirtualImage", context),
      new ImageController("VirtualImage", context),
      new LeaseController(context),
      new MacLeaseController(context),
      new MachineSnapshotController(context, gate),
      new MachineController(context),
      new NamespaceController(context),
      new NodeController(context),
      new OperationController(context),
      new OperationRetentionController(context),
      new PoolController(context),
      new RestorationController(context),
      new SnapshotOperationController(context),
      new StorageClassController(context),
    ];
  });
  return parts;
}

/** Refuses what cannot work before anything is made: a volume that no hypervisor can use. */
function checkPairings(backends: readonly Backend[]): void {
  const hypervisors = backends.flatMap(({ hypervisor }) => hypervisor ?? []);
  const taken = new Set(hypervisors.flatMap(({ capabilities }) => capabilities.blockSources));
  for (const { storage } of backends) {
    if (storage === undefined || hypervisors.length === 0) continue;
    const { blockSources } = storage.capabilities;
    if (blockSources.some((type) => taken.has(type))) continue;
    throw new PolyvisorError(
      "POLYVISOR_UNSUPPORTED",
      `storage "${storage.name}" gives volumes as ${blockSources.join(", ")}, and the hypervisors take ${[...taken].join(", ") || "none"}: choose a storage and a hypervisor that fit`,
    );
  }
}

async function openBackends(
  { backends, imageStore }: PlatformOptions,
  disposers: DisposerStack,
  signal: AbortSignal,
): Promise<void> {
  for (const backend of backends) {
    for (const part of [backend.hypervisor, backend.storage]) {
      if (part === undefined) continue;
      disposers.use(part);
      await part.open(signal);
    }
  }
  if (imageStore === undefined) return;
  disposers.use(imageStore);
  await imageStore.open({ signal });
}

async function createSettings(
  moduleConfigs: ResourceClient<"ModuleConfig">,
  settings: Partial<ModuleSettings>,
): Promise<void> {
  const { items } = await moduleConfigs.list();
  if (items.some(({ metadata }) => metadata.name === MODULE_CONFIG_NAME)) return;
  const spec = { enabled: true, version: 1, settings };
  await moduleConfigs.create({
    apiVersion: MODULE_CONFIG.apiVersion,
    metadata: { name: MODULE_CONFIG_NAME },
    spec,
  });
}

async function startControllers(
  parts: Container,
  disposers: DisposerStack,
  ending: AbortController,
): Promise<void> {
  const { store, caches, fleet, clock, logger } = parts.use(PARTS.context);
  const { signal } = ending;
  const controllers = parts.use(PARTS.controllers);
  const { synced, ended } = caches.follow(store, { signal, clock, logger });
  const running: Promise<unknown>[] = [ended];
  disposers.defer(async () => {
    ending.abort();
    parts.use(PARTS.uploads).close();
    await Promise.allSettled(running);
  });
  await synced;
  // Before anything is decided, what runs on the hosts is known as far as they answer.
  await fleet.refresh(signal);
  running.push(fleet.follow(signal), ...controllers.map((controller) => controller.run(signal)));
}

type Clients = Omit<Platform, "apply" | "receiveUpload" | typeof Symbol.asyncDispose>;

function createClients(parts: Container): Clients {
  const { store, clock, fleet, logger } = parts.use(PARTS.context);
  const common = { store, clock, logger, random: parts.use(PARTS.random) };
  const operations = new ResourceClient("VirtualMachineOperation", common);
  const virtualMachines = new VirtualMachineClient({ ...common, fleet, operations });
  const made = new Map<Kind, ResourceClient<Kind>>(
    (Object.keys(KINDS) as Kind[]).map((kind) => [kind, new ResourceClient(kind, common)]),
  );
  made.set("VirtualMachineOperation", operations as unknown as ResourceClient<Kind>);
  made.set("VirtualMachine", virtualMachines as unknown as ResourceClient<Kind>);
  const virtualMachinePools = new VirtualMachinePoolClient({ ...common, members: virtualMachines });
  made.set("VirtualMachinePool", virtualMachinePools as unknown as ResourceClient<Kind>);
  const nodes = new NodeClient({ ...common, machines: virtualMachines });
  made.set("Node", nodes as unknown as ResourceClient<Kind>);
  const client: Platform["client"] = (kind) => {
    const found = made.get(kind);
    if (found) return found as never;
    throw new PolyvisorError("POLYVISOR_INVALID", `there is no kind ${JSON.stringify(kind)}`);
  };
  return {
    client,
    clusterVirtualImages: client("ClusterVirtualImage"),
    events: client("Event"),
    moduleConfigs: client("ModuleConfig"),
    namespaces: client("Namespace"),
    nodes,
    secrets: client("Secret"),
    storageClasses: client("StorageClass"),
    virtualDiskSnapshots: client("VirtualDiskSnapshot"),
    virtualDisks: client("VirtualDisk"),
    virtualImages: client("VirtualImage"),
    virtualMachineBlockDeviceAttachments: client("VirtualMachineBlockDeviceAttachment"),
    virtualMachineClasses: client("VirtualMachineClass"),
    virtualMachineIPAddressLeases: client("VirtualMachineIPAddressLease"),
    virtualMachineIPAddresses: client("VirtualMachineIPAddress"),
    virtualMachineMACAddressLeases: client("VirtualMachineMACAddressLease"),
    virtualMachineMACAddresses: client("VirtualMachineMACAddress"),
    virtualMachineOperations: client("VirtualMachineOperation"),
    virtualMachinePools,
    virtualMachineSnapshotOperations: client("VirtualMachineSnapshotOperation"),
    virtualMachineSnapshots: client("VirtualMachineSnapshot"),
    virtualMachines,
    volumeSnapshotClasses: client("VolumeSnapshotClass"),
  };
}

async function applyManifests(
  client: Platform["client"],
  manifests: string | readonly object[],
): Promise<readonly Applied<AppliedResource>[]> {
  const objects = typeof manifests === "string" ? readManifests(manifests) : manifests;
  const checked = objects.map((manifest, index) => {
    if (!isPlainObject(manifest)) {
      throw new PolyvisorError("POLYVISOR_INVALID", `manifest ${index + 1} is no object`);
    }
    const { kind } = manifest;
    const definition = typeof kind === "string" ? findKind(kind) : undefined;
    if (definition === undefined || definition.kind !== kind) {
      throw new PolyvisorError(
        "POLYVISOR_INVALID",
        `manifest ${index + 1}: kind: ${kindProblem(kind)}`,
      );
    }
    if (manifest["apiVersion"] === undefined) {
      throw new PolyvisorError(
        "POLYVISOR_INVALID",
        `manifest ${index + 1}: apiVersion: is missing: write ${definition.apiVersion}`,
      );
    }
    validateManifest(definition, manifest);
    return { kind: definition.kind as Kind, manifest: manifest as ManifestOf<Kind> };
  });
  const applied: Applied<AppliedResource>[] = [];
  for (const { kind, manifest } of checked) applied.push(await client(kind).apply(manifest));
  return applied;
}

function kindProblem(kind: unknown): string {
  if (kind === undefined) return `is missing: use one of ${Object.keys(KINDS).join(", ")}`;
  const named = JSON.stringify(kind);
  const reason = typeof kind === "string" ? whyNotTaken(kind) : undefined;
  if (reason !== undefined) return `${named} is not taken: ${reason}`;
  return `${named} is not known: use one of ${Object.keys(KINDS).join(", ")}`;
}
