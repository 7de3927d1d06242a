import type { ConditionInput } from "../api/conditions.ts";

/** The kinds of objects that a disk or an image can be made of. */
export type SourceKind =
  "VirtualImage" | "ClusterVirtualImage" | "VirtualDisk" | "VirtualDiskSnapshot";

/** An object that is a source, as far as that matters. */
export interface SourceObject {
  readonly phase: string | undefined;
  readonly deleting: boolean;
  /** True for an ISO image. */
  readonly cdrom?: boolean;
  /** Of a disk: the VM whose guest runs with it. */
  readonly mountedBy?: string;
  /** Of a disk: what else is being done with it, such as `being resized`. */
  readonly busy?: string;
}

/** Where the content comes from, looked up. */
export type SourceInputs =
  | { readonly type: "none" | "http" | "upload" }
  | {
      readonly type: "container-image";
      /** The secret that `imagePullSecret` names. */
      readonly secret?: { readonly name: string; readonly problem: string | undefined };
    }
  | {
      readonly type: "object";
      readonly kind: SourceKind;
      readonly name: string;
      readonly namespace: string | undefined;
      /** `undefined` when it does not exist. */
      readonly object: SourceObject | undefined;
    };

/** Who asks. */
export interface SourceUser {
  readonly kind: "VirtualDisk" | "VirtualImage" | "ClusterVirtualImage";
  /** True once it is being filled: what it is filled from may then be about to be deleted. */
  readonly filling: boolean;
}

const TYPE = "DatasourceReady";

const REASONS: Readonly<Record<SourceKind, string>> = {
  VirtualImage: "Image",
  ClusterVirtualImage: "ClusterImage",
  VirtualDisk: "VirtualDisk",
  VirtualDiskSnapshot: "VirtualDiskSnapshot",
};

/** The condition `DatasourceReady`: whether a disk or an image can be made of its source now. */
export function judgeDataSource(user: SourceUser, source: SourceInputs): ConditionInput {
  if (source.type === "container-image" && source.secret?.problem !== undefined) {
    return no(
      "ContainerRegistrySecretNotFound",
      `spec.dataSource.containerImage.imagePullSecret: ${source.secret.problem}`,
    );
  }
  if (source.type !== "object") return { type: TYPE, status: "True", reason: TYPE, message: "" };
  return judgeObject(user, source);
}

/** True when a disk cannot be made of the source, whatever else happens: an ISO image. */
export function isIsoSource(user: SourceUser, source: SourceInputs): boolean {
  return (
    user.kind === "VirtualDisk" &&
    source.type === "object" &&
    source.object?.phase === "Ready" &&
    source.object.cdrom === true
  );
}

/** What a disk of an ISO image is told. */
export function isoMessage(what: string): string {
  return `${what} is an ISO image, and a disk cannot be made of one: choose a disk image.`;
}

function judgeObject(
  user: SourceUser,
  source: Extract<SourceInputs, { type: "object" }>,
): ConditionInput {
  const { kind, name, namespace, object } = source;
  const what = `spec.dataSource.objectRef: ${kind} ${JSON.stringify(name)}`;
  const notReady = `${REASONS[kind]}NotReady`;
  if (object === undefined) {
    const known = user.kind === "VirtualDisk" && kind.endsWith("Image");
    const where = namespace === undefined ? "" : ` in namespace ${JSON.stringify(namespace)}`;
    return no(
      known ? `${REASONS[kind]}NotFound` : notReady,
      `${what} does not exist${where}: create it or correct the name.`,
    );
  }
  if (isIsoSource(user, source)) return no(notReady, isoMessage(what));
  // What is being deleted waits for those that are being filled from it, and takes no others.
  const usable = object.deleting ? user.filling : object.phase === "Ready";
  if (!usable) {
    const phase = object.deleting ? "Terminating" : (object.phase ?? "Pending");
    return no(notReady, `${what} is ${phase}: waiting for it to be Ready.`);
  }
  if (object.mountedBy !== undefined) {
    return no(
      "VirtualDiskAttachedToVirtualMachine",
      `${what} is attached to the running VirtualMachine ${JSON.stringify(object.mountedBy)}: stop it or remove the disk from it.`,
    );
  }
  if (object.busy !== undefined) {
    return no("VirtualDiskNotReadyForUse", `${what} is ${object.busy}: waiting for that to end.`);
  }
  return { type: TYPE, status: "True", reason: TYPE, message: "" };
}

function no(reason: string, message: string): ConditionInput {
  return { type: TYPE, status: "False", reason, message };
}
