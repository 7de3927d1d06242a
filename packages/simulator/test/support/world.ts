import {
  createPlatform,
  type Kind,
  type Kinds,
  type Logger,
  type LogMethod,
  type Platform,
  type PlatformOptions,
} from "@polyvisor/core";
import { type DataCenter, type DataCenterOptions, simulateDataCenter } from "@polyvisor/simulator";

/** Where the image of the manifests below is served. */
const IMAGE_URL = "https://images.example/ubuntu.qcow2";

/** A platform on a simulated data centre. */
export interface World extends AsyncDisposable {
  readonly center: DataCenter;
  readonly platform: Platform;
  /** What the platform has logged. */
  readonly lines: readonly string[];
  /** Lets time pass until a resource has a phase; other phases on the way are no error. */
  untilPhase<K extends Kind>(kind: K, name: string, phase: string): Promise<NonNullable<Kinds[K]>>;
  /** Lets time pass, a day at most, until `check` gives something. */
  until<T>(what: string, check: () => T | Promise<T>): Promise<NonNullable<T>>;
}

export async function openWorld(
  options: DataCenterOptions = {},
  platformOptions: Partial<PlatformOptions> = {},
): Promise<World> {
  const center = simulateDataCenter({ images: { [IMAGE_URL]: {} }, ...options });
  const { logger, lines } = recordingLogger();
  const platform = await center.clock.until(
    createPlatform({
      ...center.parts,
      settings: { virtualMachineCIDRs: ["10.66.10.0/24"] },
      logger,
      ...platformOptions,
    }),
  );
  const until: World["until"] = async (what, check) => {
    for (let step = 0; step < 1_000; step += 1) {
      const found = await check();
      if (found) return found;
      await center.clock.advance(step < 100 ? 500 : 60_000);
    }
    throw new Error(`${what} never came true; ${lines.slice(-5).join("; ")}`);
  };
  return {
    center,
    platform,
    lines,
    until,
    untilPhase: (kind, name, phase) =>
      until(`${kind} ${name} ${phase}`, async () => {
        const found = await platform
          .client(kind)
          .get(name)
          .catch(() => undefined);
        const status =
          found && "status" in found ? (found.status as { phase?: string }) : undefined;
        return status?.phase === phase ? found : undefined;
      }),
    [Symbol.asyncDispose]: () =>
      center.clock.until(Promise.resolve(platform[Symbol.asyncDispose]())),
  };
}

function recordingLogger(): { readonly logger: Logger; readonly lines: string[] } {
  const lines: string[] = [];
  const level =
    (name: string): LogMethod =>
    (fields, message) =>
      void lines.push(`${name}: ${message} ${JSON.stringify(fields)}`);
  const [debug, info, warn, error] = ["debug", "info", "warn", "error"].map(level) as [
    LogMethod,
    LogMethod,
    LogMethod,
    LogMethod,
  ];
  return { logger: { debug, info, warn, error }, lines };
}

const API = "virtualization.deckhouse.io/v1alpha2";

export function imageManifest(name: string, url: string = IMAGE_URL): object {
  const spec = { storage: "ContainerRegistry", dataSource: { type: "HTTP", http: { url } } };
  return { apiVersion: API, kind: "VirtualImage", metadata: { name }, spec };
}

export function diskOfImage(name: string, image: string): object {
  const objectRef = { kind: "VirtualImage", name: image };
  const spec = { dataSource: { type: "ObjectRef", objectRef } };
  return { apiVersion: API, kind: "VirtualDisk", metadata: { name }, spec };
}

export function blankDisk(name: string): object {
  const spec = { persistentVolumeClaim: { size: "1Gi" } };
  return { apiVersion: API, kind: "VirtualDisk", metadata: { name }, spec };
}

export function machine(name: string, disks: readonly string[], spec: object = {}): object {
  return {
    apiVersion: API,
    kind: "VirtualMachine",
    metadata: { name },
    spec: {
      virtualMachineClassName: "host",
      cpu: { cores: 1, coreFraction: "100%" },
      memory: { size: "1Gi" },
      blockDeviceRefs: disks.map((disk) => ({ kind: "VirtualDisk", name: disk })),
      ...spec,
    },
  };
}
