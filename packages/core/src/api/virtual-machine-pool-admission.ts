import { parseDuration } from "../util/duration.ts";
import type { AdmissionContext, AdmissionIssue } from "./kind.ts";
import { scaleDownTargets } from "./scale-down-targets.ts";
import { admitDiskSpec } from "./virtual-disk-admission.ts";
import { admitSize, admitVirtualMachineSpec } from "./virtual-machine-admission.ts";
import { fillMachineSpec } from "./virtual-machine-defaults.ts";
import type { VirtualDiskTemplate, VirtualMachinePool } from "./virtual-machine-pool.ts";

/** The broken rules of a pool. Source: the DVP custom resource definitions, rules of VirtualMachinePool. */
export async function admitPool(
  next: VirtualMachinePool,
  context: AdmissionContext<VirtualMachinePool>,
): Promise<AdmissionIssue[]> {
  const { spec } = next;
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
    ...admitScaleDown(next, context.previous),
    ...(await admitSize(virtualMachineTemplate.spec, "spec.virtualMachineTemplate.spec", context)),
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

/** A pool with the policy `Explicit` gets smaller only by the members that are named. */
function admitScaleDown(
  next: VirtualMachinePool,
  previous: VirtualMachinePool | undefined,
): AdmissionIssue[] {
  const { scaleDownPolicy, replicas } = next.spec;
  const before = previous?.spec.replicas;
  if (scaleDownPolicy !== "Explicit" || replicas === undefined || before === undefined) return [];
  const earlier = previous ? scaleDownTargets(previous) : [];
  const named = scaleDownTargets(next).filter((name) => !earlier.includes(name)).length;
  if (before - replicas <= named) return [];
  return [
    {
      field: "spec.replicas",
      message:
        "a pool with scaleDownPolicy Explicit cannot be scaled down without naming the replicas to remove: use scaleDownWith",
    },
  ];
}

/** Fills in what other resources decide, so that every VM is made of the whole template. */
export async function setPoolDefaults(
  next: VirtualMachinePool,
  context: AdmissionContext<VirtualMachinePool>,
): Promise<VirtualMachinePool | readonly AdmissionIssue[]> {
  const { virtualMachineTemplate } = next.spec;
  const before = context.previous?.spec.virtualMachineTemplate.spec;
  const field = "spec.virtualMachineTemplate.spec";
  const spec = await fillMachineSpec(virtualMachineTemplate.spec, before, field, context);
  if ("field" in spec) return [spec];
  const filled = { ...virtualMachineTemplate, spec };
  return { ...next, spec: { ...next.spec, virtualMachineTemplate: filled } };
}
