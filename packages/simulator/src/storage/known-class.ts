import type { StorageCapabilities, StorageClassInfo } from "@polyvisor/core";
import type { StorageClassOptions } from "./storage-options.ts";

/** A class with nothing left open. */
export interface KnownClass {
  readonly info: StorageClassInfo;
  readonly hosts: readonly string[] | undefined;
  readonly local: boolean;
}

export function knownClass(
  options: StorageClassOptions,
  index: number,
  capabilities: StorageCapabilities,
): KnownClass {
  const { name, snapshotClass = `${name}-snapshot`, hosts, local = false } = options;
  const uses = options.uses ?? [
    { accessMode: local ? "ReadWriteOnce" : "ReadWriteMany", volumeMode: "Block" } as const,
  ];
  return {
    info: {
      name,
      isDefault: options.isDefault ?? index === 0,
      uses,
      bindingMode: options.bindingMode ?? "Immediate",
      expandable: capabilities.expansion && (options.expandable ?? true),
      ...(capabilities.snapshots && snapshotClass !== null && { snapshotClass }),
    },
    hosts,
    local,
  };
}
