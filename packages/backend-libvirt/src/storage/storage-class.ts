import { type AccessMode, PolyvisorError, type StorageClassInfo } from "@polyvisor/core";
import { directoryPoolXml, logicalPoolXml, networkPoolXml } from "./volume-xml.ts";

/** Where the volumes of a class are kept, on every host alike. */
export type LibvirtPool =
  /** Made with the first volume and removed with the last; files of one host each. */
  | { readonly type: "own" }
  /** A pool of files that is there, such as one of type `dir`, `fs` or `netfs`. */
  | {
      readonly type: "existing";
      readonly name: string;
      /** True when the pools of all hosts show the same files. Default false. */
      readonly shared?: boolean;
    }
  /** A folder that is there. */
  | {
      readonly type: "directory";
      /** Absolute path on every host. */
      readonly path: string;
      /** True when all hosts see the same files there. Default false. */
      readonly shared?: boolean;
    }
  /** A folder of a file server, which libvirt mounts; all hosts share it. */
  | {
      readonly type: "netfs";
      readonly server: string;
      /** What the server gives, such as `/export/disks`. */
      readonly export: string;
      /** Default `nfs`. */
      readonly format?: "nfs" | "glusterfs" | "cifs";
    }
  /** A volume group of LVM that is there; devices of one host each. */
  | { readonly type: "logical"; readonly volumeGroup: string };

/** A StorageClass of the backend. */
export interface LibvirtStorageClass {
  readonly name: string;
  readonly pool: LibvirtPool;
  /** For the class of volumes that name none; at most one. Default false. */
  readonly isDefault?: boolean;
  /** Default `Immediate`: a volume is made at once, on the host with the most room. */
  readonly bindingMode?: StorageClassInfo["bindingMode"];
}

/** A pool as hosts make and find it. */
export interface PoolSettings {
  /** Of the pool in libvirt. */
  readonly name: string;
  /** The pool's XML; absent for one that must be there already. */
  readonly xml?: string;
  /** True when the folder of the pool is ours, to be made and removed with it. */
  readonly ownsFolder: boolean;
  readonly shared: boolean;
  readonly content: "file" | "block";
}

/** The pool in which files of guests are kept that are no volumes, and volumes where no other pool is named. */
export const OWN_POOL: PoolSettings = {
  name: "polyvisor",
  xml: directoryPoolXml("polyvisor", "/var/lib/libvirt/images/polyvisor"),
  ownsFolder: true,
  shared: false,
  content: "file",
};

/** How hosts make and find the pool of a class. */
export function poolSettings({ name: className, pool }: LibvirtStorageClass): PoolSettings {
  const name = `polyvisor-${className}`;
  switch (pool.type) {
    case "own":
      return OWN_POOL;
    case "existing":
      return {
        name: pool.name,
        ownsFolder: false,
        shared: pool.shared ?? false,
        content: "file",
      };
    case "directory":
      return {
        name,
        xml: directoryPoolXml(name, pool.path),
        ownsFolder: false,
        shared: pool.shared ?? false,
        content: "file",
      };
    case "netfs":
      return {
        name,
        xml: networkPoolXml(name, pool, `/var/lib/libvirt/images/${name}`),
        ownsFolder: true,
        shared: true,
        content: "file",
      };
    case "logical":
      return {
        name,
        xml: logicalPoolXml(name, pool.volumeGroup),
        ownsFolder: false,
        shared: false,
        content: "block",
      };
  }
}

/** The class as the port shows it. */
export function storageClassInfo(
  storageClass: LibvirtStorageClass,
  settings: PoolSettings,
): StorageClassInfo {
  const { name, isDefault = false, bindingMode = "Immediate" } = storageClass;
  const files = settings.content === "file";
  const modes: AccessMode[] = settings.shared
    ? ["ReadWriteOnce", "ReadWriteMany"]
    : ["ReadWriteOnce"];
  return {
    name,
    isDefault,
    uses: modes.map((accessMode) => ({ accessMode, volumeMode: files ? "Filesystem" : "Block" })),
    bindingMode,
    expandable: files,
    ...(files && { snapshotClass: name }),
  };
}

/** @throws `POLYVISOR_INVALID` for classes that cannot be told apart, or paths that are not absolute. */
export function checkStorageClasses(classes: readonly LibvirtStorageClass[]): void {
  const invalid = (reason: string): PolyvisorError =>
    new PolyvisorError("POLYVISOR_INVALID", `storageClasses: ${reason}`);
  if (classes.length === 0) throw invalid("name at least one");
  const names = new Set(classes.map(({ name }) => name));
  if (names.size < classes.length) throw invalid("two classes have the same name");
  if (classes.filter(({ isDefault }) => isDefault === true).length > 1) {
    throw invalid("at most one class can be the default");
  }
  const pools = new Set(classes.map((storageClass) => poolSettings(storageClass).name));
  if (pools.size < classes.length) throw invalid("two classes have the same pool");
  for (const { name, pool } of classes) {
    if (pool.type === "directory" && !pool.path.startsWith("/")) {
      throw invalid(`the path of class "${name}" must be absolute`);
    }
  }
}
