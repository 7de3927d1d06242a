import { jsonEquals } from "../util/json.ts";
import { admitDataSource } from "./data-source.ts";
import type { AdmissionContext, AdmissionIssue } from "./kind.ts";
import type { ClusterVirtualImage, VirtualImage } from "./virtual-image.ts";

/** The broken rules of an image of one namespace. */
export function admitVirtualImage(
  next: VirtualImage,
  { previous, warn }: AdmissionContext<VirtualImage>,
): AdmissionIssue[] {
  const { spec } = next;
  const issues = admitDataSource(spec.dataSource);
  if (spec.storage === "ContainerRegistry" && spec.persistentVolumeClaim !== undefined) {
    warn("spec.persistentVolumeClaim has no effect with spec.storage ContainerRegistry");
  }
  if (previous?.status?.phase !== "Ready") return issues;
  const before = previous.spec;
  if (!jsonEquals(before.dataSource, spec.dataSource)) {
    issues.push({
      field: "spec.dataSource",
      message:
        "data source cannot be changed if the VirtualImage has already been provisioned: delete it and create it anew",
    });
  }
  const unmoved =
    before.storage === spec.storage &&
    before.persistentVolumeClaim?.storageClassName === spec.persistentVolumeClaim?.storageClassName;
  if (!unmoved) {
    issues.push({
      field: "spec.persistentVolumeClaim.storageClassName",
      message:
        "storage class cannot be changed if the VirtualImage has already been provisioned: delete it and create it anew",
    });
  }
  return issues;
}

/** The broken rules of an image of all namespaces. Source: the DVP custom resource definitions, `spec.dataSource`. */
export function admitClusterVirtualImage(
  { spec }: ClusterVirtualImage,
  { previous }: AdmissionContext<ClusterVirtualImage>,
): AdmissionIssue[] {
  const issues = admitDataSource(spec.dataSource);
  const ref = spec.dataSource.objectRef;
  if (ref !== undefined && ref.kind !== "ClusterVirtualImage") {
    const { namespace = "" } = ref;
    const field = "spec.dataSource.objectRef";
    if (namespace === "") {
      issues.push({
        field,
        message: "The namespace is required for VirtualDisk, VirtualImage and VirtualDiskSnapshot",
      });
    }
    if (namespace.length > 63) {
      issues.push({ field, message: "The namespace must be no longer than 63 characters." });
    }
  }
  if (previous?.status?.phase === "Ready" && !jsonEquals(previous.spec, spec)) {
    issues.push({
      field: "spec",
      message: "ClusterVirtualImage is in a Ready state: configuration changes are not available",
    });
  }
  return issues;
}
