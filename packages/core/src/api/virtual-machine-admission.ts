import { parseQuantity } from "../util/quantity.ts";
import type { AdmissionIssue } from "./kind.ts";
import type { VirtualMachine } from "./virtual-machine.ts";
import { cpuTopology } from "./cpu-topology.ts";

/** The broken rules of a VM. */
export function admitVirtualMachine({ spec }: VirtualMachine): AdmissionIssue[] {
  const issues: AdmissionIssue[] = [];
  const { sockets, coresPerSocket } = cpuTopology(spec.cpu.cores);
  if (spec.cpu.cores > 248) {
    issues.push({ field: "spec.cpu.cores", message: "number of cores should not exceed 248" });
  } else if (sockets * coresPerSocket !== spec.cpu.cores) {
    issues.push({
      field: "spec.cpu.cores",
      message: `the requested number of cores must be a multiple of ${sockets}`,
    });
  }
  if (parseQuantity(spec.memory.size) <= 0) {
    issues.push({ field: "spec.memory.size", message: "must be greater than 0" });
  }
  const seen = new Set<string>();
  spec.blockDeviceRefs.forEach(({ kind, name }, index) => {
    if (seen.has(`${kind}/${name}`)) {
      issues.push({
        field: `spec.blockDeviceRefs[${index}]`,
        message: `cannot specify the same block device reference more than once: ${kind} with name "${name}" has a duplicate reference`,
      });
    }
    seen.add(`${kind}/${name}`);
  });
  return [...issues, ...admitProvisioning(spec.provisioning)];
}

const MEMBERS = {
  UserData: "userData",
  UserDataRef: "userDataRef",
  SysprepRef: "sysprepRef",
} as const;

function admitProvisioning(provisioning: VirtualMachine["spec"]["provisioning"]): AdmissionIssue[] {
  if (provisioning === undefined) return [];
  const issues: AdmissionIssue[] = [];
  const wanted = MEMBERS[provisioning.type];
  const present = Object.values(MEMBERS).filter((member) => provisioning[member] !== undefined);
  if (present.length !== 1 || present[0] !== wanted) {
    issues.push({
      field: "spec.provisioning",
      message: `type ${provisioning.type} needs ${wanted} and nothing else besides`,
    });
  }
  if (provisioning.userData !== undefined && Buffer.byteLength(provisioning.userData) > 2048) {
    issues.push({
      field: "spec.provisioning.userData",
      message: "`userData` exceeds 2048 byte limit; should use `userDataRef` for larger data.",
    });
  }
  return issues;
}
