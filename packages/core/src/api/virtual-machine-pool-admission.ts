import { parseDuration } from "../util/duration.ts";
import type { AdmissionIssue } from "./kind.ts";
import { admitDiskSpec } from "./virtual-disk-admission.ts";
import { admitVirtualMachineSpec } from "./virtual-machine-admission.ts";
import type { VirtualDiskTemplate, VirtualMachinePool } from "./virtual-machine-pool.ts";

/** The broken rules of a pool. Source: the DVP custom resource definitions, rules of VirtualMachinePool. */
export function admitPool({ spec }: VirtualMachinePool): AdmissionIssue[] {
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
  return [
    ...rules.flatMap(([broken, message]) => (broken ? [{ field: "spec", message }] : [])),
    ...admitVirtualMachineSpec(virtualMachineTemplate.spec, "spec.virtualMachineTemplate.spec"),
    ...templates.flatMap((template, index) => [
      ...admitDiskSpec(template.spec, `spec.virtualDiskTemplates[${index}].spec`),
      ...admitReclaim(template, `spec.virtualDiskTemplates[${index}].reclaim`),
    ]),
  ];
}

function admitReclaim({ reclaim }: VirtualDiskTemplate, field: string): AdmissionIssue[] {
  if (reclaim === undefined) return [];
  const { onScaleDown, keep, ttl } = reclaim;
  const rules: readonly (readonly [boolean, string])[] = [
    [
      onScaleDown !== "Retain" && (keep !== 0 || ttl !== undefined),
      "keep and ttl are only valid with onScaleDown: Retain",
    ],
    [
      keep > 0 && ttl === undefined,
      "keep requires ttl; without ttl free disks are never garbage-collected, so keep would have no effect",
    ],
    [
      ttl !== undefined && parseDuration(ttl) === undefined,
      `ttl ${JSON.stringify(ttl)} is no duration: write it like 30m or 1h30m`,
    ],
  ];
  return rules.flatMap(([broken, message]) => (broken ? [{ field, message }] : []));
}
