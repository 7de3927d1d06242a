import { jsonEquals } from "../util/json.ts";
import { isDefaultClass } from "./default-class.ts";
import type { AdmissionContext, AdmissionIssue } from "./kind.ts";
import { admitLabelSelector, admitPlacement } from "./placement-admission.ts";
import { type SizingPolicy, sizingPolicyProblems } from "./sizing-policy.ts";
import type { VirtualMachineClass } from "./virtual-machine-class.ts";

/** The broken rules of a class. Source: the DVP custom resource definitions, rules on `spec.cpu` and `sizingPolicies`. */
export function admitClass(
  next: VirtualMachineClass,
  { previous, warn }: AdmissionContext<VirtualMachineClass>,
): AdmissionIssue[] {
  const { type, model, features, discovery } = next.spec.cpu;
  const issues: AdmissionIssue[] = [];
  const field = "spec.cpu";
  const refuse = (broken: boolean, message: string): void => {
    if (broken) issues.push({ field, message });
  };
  const [hasModel, hasFeatures, hasDiscovery] = [
    model !== undefined,
    features !== undefined,
    discovery !== undefined,
  ];
  switch (type) {
    case "Host":
    case "HostPassthrough":
      refuse(
        hasModel || hasFeatures || hasDiscovery,
        "HostPassthrough and Host cannot have model, features or discovery",
      );
      break;
    case "Discovery":
      refuse(hasModel || hasFeatures, "Discovery cannot have model or features");
      break;
    case "Model":
      refuse(
        !hasModel || hasFeatures || hasDiscovery,
        "Model requires model and cannot have features or discovery",
      );
      break;
    case "Features":
      refuse(
        !hasFeatures || hasModel || hasDiscovery,
        "Features requires features and cannot have model or discovery",
      );
  }
  if (previous !== undefined && !jsonEquals(previous.spec.cpu, next.spec.cpu)) {
    issues.push({ field, message: ".spec.cpu is immutable: create another class" });
  }
  const { sizingPolicies = [], nodeSelector = {} } = next.spec;
  if (sizingPolicies.some(({ dedicatedCores }) => dedicatedCores !== undefined)) {
    warn("spec.sizingPolicies[].dedicatedCores has no effect: VMs have no such field");
  }
  return [
    ...issues,
    ...sizingPolicies.flatMap(({ cores }, index) => admitCoreRange(cores, index)),
    ...sizingPolicyProblems(next.metadata.name, sizingPolicies),
    ...admitLabelSelector(nodeSelector, "spec.nodeSelector"),
    ...admitLabelSelector(discovery?.nodeSelector ?? {}, "spec.cpu.discovery.nodeSelector"),
    ...admitPlacement({ tolerations: next.spec.tolerations ?? [] }, "spec"),
  ];
}

function admitCoreRange(
  { min, max, step }: SizingPolicy["cores"],
  index: number,
): AdmissionIssue[] {
  const rules: readonly (readonly [boolean, string])[] = [
    [max <= min, "The maximum must be greater than the minimum"],
    [step !== undefined && max <= step, "The maximum must be greater than the step"],
  ];
  return rules.flatMap(([broken, message]) =>
    broken ? [{ field: `spec.sizingPolicies[${index}].cores`, message }] : [],
  );
}

/** There is one default class at most. */
export async function admitDefaultClass(
  next: VirtualMachineClass,
  { list }: AdmissionContext<VirtualMachineClass>,
): Promise<AdmissionIssue[]> {
  if (!isDefaultClass(next)) return [];
  const classes = await list("VirtualMachineClass");
  const other = classes.find(
    (candidate) => candidate.metadata.name !== next.metadata.name && isDefaultClass(candidate),
  );
  if (other === undefined) return [];
  return [
    {
      field: "metadata.annotations",
      message: `multiple default virtual machine classes are prohibited, current default class is ${other.metadata.name}`,
    },
  ];
}
