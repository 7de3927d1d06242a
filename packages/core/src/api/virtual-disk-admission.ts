import { jsonEquals } from "../util/json.ts";
import { parseQuantity } from "../util/quantity.ts";
import { admitDataSource } from "./data-source.ts";
import type { AdmissionContext, AdmissionIssue } from "./kind.ts";
import type { VirtualDisk, VirtualDiskSpec } from "./virtual-disk.ts";

const SIZE = "spec.persistentVolumeClaim.size";

/** The broken rules of a disk. */
export async function admitDisk(
  next: VirtualDisk,
  context: AdmissionContext<VirtualDisk>,
): Promise<AdmissionIssue[]> {
  const { previous } = context;
  const issues = admitDiskSpec(next.spec, "spec");
  const { name } = next.metadata;
  if (name.includes(".")) {
    issues.push({
      field: "metadata.name",
      message: `the VirtualDisk name "${name}" is invalid: '.' is forbidden, allowed name symbols are [0-9a-zA-Z-]`,
    });
  }
  if (previous?.metadata.deletionTimestamp !== undefined) {
    issues.push({
      field: "spec",
      message: "spec cannot be changed if the VirtualDisk is in the process of termination",
    });
  } else if (previous?.status && isProvisioned(previous.status)) {
    issues.push(...admitChangeOfDisk(previous, next));
  }
  if (issues.length === 0) await warnOfSmallSize(next, context);
  return issues;
}

/** The broken rules of a disk's spec, as far as the spec itself tells. */
export function admitDiskSpec(spec: VirtualDiskSpec, field: string): AdmissionIssue[] {
  const issues = admitDataSource(spec.dataSource, `${field}.dataSource`);
  const size = spec.persistentVolumeClaim?.size;
  const sizeField = `${field}.persistentVolumeClaim.size`;
  if (spec.dataSource === undefined && size === undefined) {
    issues.push({
      field: sizeField,
      message:
        "if the data source is not specified, it's necessary to set spec.persistentVolumeClaim.size to create blank virtual disk",
    });
  }
  if (size !== undefined && parseQuantity(size) <= 0) {
    issues.push({ field: sizeField, message: "virtual disk size must be greater than 0" });
  }
  return issues;
}

/** True once the volume is there, so that its content and its class are settled. */
function isProvisioned({ phase }: NonNullable<VirtualDisk["status"]>): boolean {
  return ["Ready", "Resizing", "Migrating", "Exporting", "PVCLost"].includes(phase);
}

function admitChangeOfDisk(
  { spec: before, status }: VirtualDisk,
  { spec }: VirtualDisk,
): AdmissionIssue[] {
  const issues: AdmissionIssue[] = [];
  if (!jsonEquals(before.dataSource, spec.dataSource)) {
    issues.push({
      field: "spec.dataSource",
      message: "data source cannot be changed if the VirtualDisk has already been provisioned",
    });
  }
  issues.push(
    ...admitChangeOfSize(
      before.persistentVolumeClaim?.size,
      spec.persistentVolumeClaim?.size,
      status,
    ),
  );
  const present = before.persistentVolumeClaim?.storageClassName;
  const wanted = spec.persistentVolumeClaim?.storageClassName;
  if (wanted !== present && wanted !== status?.storageClassName) {
    issues.push({
      field: "spec.persistentVolumeClaim.storageClassName",
      message:
        "storage class cannot be changed, because volume migration is not supported: create another disk of a snapshot of this one",
    });
  }
  return issues;
}

function admitChangeOfSize(
  before: string | undefined,
  after: string | undefined,
  status: VirtualDisk["status"],
): AdmissionIssue[] {
  const issue = (rule: string): AdmissionIssue[] => [{ field: SIZE, message: `${SIZE} ${rule}` }];
  if (before === after) return [];
  if (after === undefined) return issue("cannot be omitted once set");
  const current = before ?? status?.capacity;
  if (current !== undefined && parseQuantity(after) < parseQuantity(current)) {
    return issue(
      `value (${after}) should be greater than or equal to the current value (${current})`,
    );
  }
  if (status?.phase === "Migrating") {
    return issue("cannot be changed during migration. Please wait for the migration to finish");
  }
  return [];
}

async function warnOfSmallSize(
  { metadata, spec }: VirtualDisk,
  context: AdmissionContext<VirtualDisk>,
): Promise<void> {
  const ref = spec.dataSource?.objectRef;
  const size = spec.persistentVolumeClaim?.size;
  if (size === undefined) return;
  if (ref?.kind !== "VirtualImage" && ref?.kind !== "ClusterVirtualImage") return;
  const { namespace } = metadata;
  const inNamespace = ref.kind === "VirtualImage" && namespace !== undefined;
  const image = await context.get(ref.kind, { name: ref.name, ...(inNamespace && { namespace }) });
  const unpacked = image?.status?.size?.unpackedBytes;
  if (unpacked === undefined || parseQuantity(size) >= Number(unpacked)) return;
  context.warn(
    `${SIZE}: ${size} is less than the ${image?.status?.size?.unpacked} that the content of ${ref.kind} "${ref.name}" takes: the disk cannot become Ready`,
  );
}
