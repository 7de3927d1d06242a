import type { DataSource } from "./data-source.ts";
import type { AdmissionIssue } from "./kind.ts";
import type { Kind, Kinds } from "./kinds.ts";

/** A wish that the schema takes and that nothing fulfils yet. Whoever fulfils it deletes the row. */
interface NotYet<R> {
  readonly field: string;
  /** What is not supported, for the message. */
  readonly what: string;
  /** True when the resource has the wish. */
  readonly wished: (resource: R, previous: R | undefined) => boolean;
}

function wholeKind(what: string): readonly NotYet<unknown>[] {
  return [{ field: "kind", what, wished: () => true }];
}

const streebog: NotYet<{ readonly spec: { readonly dataSource?: DataSource } }> = {
  field: "spec.dataSource",
  what: "a Streebog checksum",
  wished: ({ spec: { dataSource } }) => {
    const checksums = [dataSource?.http?.checksum, dataSource?.upload?.checksum];
    return checksums.some(
      (sum) => sum?.streebog256 !== undefined || sum?.streebog512 !== undefined,
    );
  },
};

const NOT_YET: { readonly [K in Kind]?: readonly NotYet<Kinds[K]>[] } = {
  ClusterVirtualImage: [streebog],
  StorageClass: [
    {
      field: "reclaimPolicy",
      what: "Retain",
      wished: (storageClass) => storageClass.reclaimPolicy === "Retain",
    },
    {
      field: "parameters",
      what: "a parameter for the storage",
      wished: ({ parameters }) => parameters !== undefined,
    },
  ],
  VirtualDisk: [streebog],
  VirtualImage: [streebog],
  VirtualMachine: [
    {
      field: "spec.networks",
      what: "a network besides Main",
      wished: ({ spec }) => spec.networks?.every(({ type }) => type === "Main") === false,
    },
    {
      field: "spec.networks",
      what: "a VM without networks",
      wished: ({ spec }) => spec.networks?.length === 0,
    },
    {
      field: "spec.priorityClassName",
      what: "a priority class",
      wished: ({ spec }) => spec.priorityClassName !== undefined,
    },
    {
      field: "spec.cpu.coreFraction",
      what: "Auto",
      wished: ({ spec }) => spec.cpu.coreFraction === "Auto",
    },
    {
      field: "spec.usbDevices",
      what: "a USB device",
      wished: ({ spec }) => (spec.usbDevices?.length ?? 0) > 0,
    },
    { field: "spec.gpus", what: "a GPU", wished: ({ spec }) => (spec.gpus?.length ?? 0) > 0 },
  ],
  VolumeSnapshotClass: wholeKind("a VolumeSnapshotClass of one's own"),
};

/** Wishes of a resource that would have no effect, so that they are refused. */
export function unfulfilled<K extends Kind>(
  kind: K,
  resource: Kinds[K],
  previous: Kinds[K] | undefined,
): AdmissionIssue[] {
  const rows: readonly NotYet<Kinds[K]>[] = NOT_YET[kind] ?? [];
  return rows.flatMap(({ field, what, wished }) =>
    wished(resource, previous) ? [{ field, message: `${what} is not supported yet` }] : [],
  );
}

/** Kinds of guides and of other systems that are known and not taken, and why. */
const FOREIGN_KINDS: Readonly<Record<string, string>> = {
  ClusterNetwork: "networks besides Main are not supported yet",
  Ingress: "traffic into VMs is not the platform's to route",
  Network: "networks besides Main are not supported yet",
  NodeUSBDevice: "USB devices are not supported yet",
  Service: "traffic to VMs is not the platform's to route",
  USBDevice: "USB devices are not supported yet",
  VirtualMachineRestore: "use a VirtualMachineOperation of type Restore",
};

/** Why a kind that somebody may well send is not taken. */
export function whyNotTaken(kind: string): string | undefined {
  return Object.hasOwn(FOREIGN_KINDS, kind) ? FOREIGN_KINDS[kind] : undefined;
}
