import { createHash } from "node:crypto";
import { GROUP } from "../api/meta.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { VirtualMachinePool } from "../api/virtual-machine-pool.ts";
import type { VirtualMachine, VirtualMachineSpec } from "../api/virtual-machine.ts";

/** Label of VMs and disks: the pool that they are of. */
export const POOL_LABEL: string = `virtualmachinepool.${GROUP}/name`;

/** Label of VMs: the template that they were made like last. */
export const TEMPLATE_HASH_LABEL: string = `virtualmachinepool.${GROUP}/template-hash`;

/** Label of disks: the disk template that they were made of. */
export const DISK_TEMPLATE_LABEL: string = `virtualmachinepool.${GROUP}/disk-template`;

/** Which template a VM is to be like. */
export function templateHash({ spec }: VirtualMachinePool): string {
  const text = JSON.stringify(spec.virtualMachineTemplate, sortKeys);
  return createHash("sha256").update(text).digest("hex").slice(0, 10);
}

function sortKeys(_: string, value: unknown): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1)));
}

/** The labels of a member: those of the template and those by which the pool knows its own. */
export function memberLabels(pool: VirtualMachinePool): Record<string, string> {
  return {
    ...pool.spec.virtualMachineTemplate.metadata?.labels,
    [POOL_LABEL]: pool.metadata.name,
    [TEMPLATE_HASH_LABEL]: templateHash(pool),
  };
}

/** The labels of a disk of a pool. */
export function diskLabels(pool: VirtualMachinePool, template: string): Record<string, string> {
  return { [POOL_LABEL]: pool.metadata.name, [DISK_TEMPLATE_LABEL]: template };
}

/** True when disks of a template outlive their VM. */
export function isRetained(pool: VirtualMachinePool, template: string): boolean {
  const found = pool.spec.virtualDiskTemplates.find(({ name }) => name === template);
  return found?.reclaim?.onScaleDown === "Retain";
}

/** The template with the names of a member's own disks in it. */
export function memberSpec(
  pool: VirtualMachinePool,
  diskNames: ReadonlyMap<string, string>,
): VirtualMachineSpec {
  const { spec } = pool.spec.virtualMachineTemplate;
  return {
    ...spec,
    blockDeviceRefs: spec.blockDeviceRefs.map((ref) =>
      ref.kind === "VirtualDisk" ? { ...ref, name: diskNames.get(ref.name) ?? ref.name } : ref,
    ),
  };
}

/**
 * Which disk a VM has for each disk template: the one that it names already; else, where disks go with their VM, one
 * with a name made of the VM's. Templates of which the VM has to get a disk first are left out.
 */
export function disksOfMember(
  pool: VirtualMachinePool,
  member: Pick<VirtualMachine, "metadata" | "spec">,
  disks: readonly VirtualDisk[],
): Map<string, string> {
  const names = new Map<string, string>();
  const named = new Set(member.spec.blockDeviceRefs.map(({ name }) => name));
  for (const { metadata } of disks) {
    const template = metadata.labels?.[DISK_TEMPLATE_LABEL];
    if (template !== undefined && named.has(metadata.name)) names.set(template, metadata.name);
  }
  for (const { name: template } of pool.spec.virtualDiskTemplates) {
    if (names.has(template) || isRetained(pool, template)) continue;
    names.set(template, `${member.metadata.name}-${template}`);
  }
  return names;
}
