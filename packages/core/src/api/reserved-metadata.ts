import type { AdmissionIssue } from "./kind.ts";
import { GROUP, type Resource } from "./meta.ts";

/** Labels and annotations with the group's name are the platform's. Source: DVP, metadata rules of VirtualMachine. */
export function admitReservedMetadata(
  { metadata }: Resource,
  previous: Resource | undefined,
): AdmissionIssue[] {
  const issues: AdmissionIssue[] = [];
  for (const [members, what] of [
    ["annotations", "annotation"],
    ["labels", "label"],
  ] as const) {
    const before = previous?.metadata[members] ?? {};
    for (const [key, value] of Object.entries(metadata[members] ?? {})) {
      if (!key.includes(GROUP) || before[key] === value) continue;
      issues.push({
        field: `metadata.${members}`,
        message: `using the ${GROUP} group's name in the ${what} is prohibited: ${key}`,
      });
    }
  }
  return issues;
}
