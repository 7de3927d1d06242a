import type { KeptObject } from "./machine-snapshot-content.ts";

/** Kinds of objects that a restore or a clone makes. */
export type PlannedKind =
  | "Secret"
  | "VirtualMachineIPAddress"
  | "VirtualMachineMACAddress"
  | "VirtualDisk"
  | "VirtualMachine"
  | "VirtualMachineBlockDeviceAttachment";

/** An object that a restore or a clone wants to be there. */
export interface PlannedObject {
  readonly kind: PlannedKind;
  readonly name: string;
  /**
   * `create`: nothing of that name is there. `replace`: what is there goes first. `update`: it gets another spec.
   * `keep`: it is as it should be.
   */
  readonly action: "create" | "replace" | "update" | "keep";
  /** What it is to be, besides `apiVersion` and `kind`; of a secret, `type` and `data` stand in place of `spec`. */
  readonly manifest: Omit<KeptObject, "name" | "spec"> & {
    readonly spec?: KeptObject["spec"];
    readonly type?: string;
    readonly data?: Readonly<Record<string, string>>;
  };
  /** Why it cannot be made. */
  readonly problem?: string;
}

/** What a restore or a clone does, in order. It is carried out as a whole, or, when anything has a problem, not at all. */
export interface SnapshotPlan {
  readonly objects: readonly PlannedObject[];
  readonly feasible: boolean;
}

/** What is there already, by name, in the namespace. */
export interface ExistingObjects {
  /** `Kind/name` of images, and of everything else that can be in the way. */
  readonly names: ReadonlySet<string>;
  /** The VM that a disk or an address is attached to, by `Kind/name`. */
  readonly attachedTo: ReadonlyMap<string, string>;
  /** What is bound to an address resource, by `Kind/name`. */
  readonly addresses: ReadonlyMap<string, string>;
  readonly secrets: ReadonlyMap<
    string,
    { readonly type: string; readonly data: Readonly<Record<string, string>> }
  >;
}

/** A plan of these objects. */
export function planOf(objects: readonly PlannedObject[]): SnapshotPlan {
  return { objects, feasible: objects.every(({ problem }) => problem === undefined) };
}

/** The spec of a disk that is made of a snapshot. */
export function diskSpecOf(disk: {
  readonly spec: KeptObject["spec"];
  readonly snapshotName: string;
}): KeptObject["spec"] {
  const objectRef = { kind: "VirtualDiskSnapshot", name: disk.snapshotName };
  return { ...disk.spec, dataSource: { type: "ObjectRef", objectRef } };
}

/** Labels and annotations where there are some. */
export function metadataOf({
  labels,
  annotations,
}: Omit<KeptObject, "name" | "spec">): Omit<KeptObject, "name" | "spec"> {
  return { ...(labels && { labels }), ...(annotations && { annotations }) };
}
