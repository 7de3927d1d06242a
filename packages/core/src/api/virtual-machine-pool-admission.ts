import type { AdmissionIssue } from "./kind.ts";
import type { VirtualMachinePool } from "./virtual-machine-pool.ts";

/** The broken rules of a pool. */
export function admitPool({ spec }: VirtualMachinePool): AdmissionIssue[] {
  const issues: AdmissionIssue[] = [];
  const { virtualDiskTemplates: templates, virtualMachineTemplate } = spec;
  const disks = virtualMachineTemplate.spec.blockDeviceRefs.filter(
    ({ kind }) => kind === "VirtualDisk",
  );
  const rules: readonly (readonly [boolean, string])[] = [
    [
      !templates.every(({ name }) => disks.some((disk) => disk.name === name)),
      "each virtualDiskTemplates entry must be referenced by a VirtualDisk entry in virtualMachineTemplate.spec.blockDeviceRefs",
    ],
    [
      !disks.every(({ name }) => templates.some((template) => template.name === name)),
      "each VirtualDisk reference in virtualMachineTemplate.spec.blockDeviceRefs must name a virtualDiskTemplates entry",
    ],
    [
      disks.length !== templates.length,
      "each virtualDiskTemplates entry must be referenced exactly once (no duplicate VirtualDisk references)",
    ],
    [
      virtualMachineTemplate.spec.osType === "Legacy",
      "The Legacy osType is not supported in a VirtualMachinePool: replicas of such a pool cannot be told apart, because provisioning is unavailable for these operating systems.",
    ],
  ];
  for (const [broken, message] of rules) if (broken) issues.push({ field: "spec", message });
  return issues;
}
