import { parseQuantity } from "../util/quantity.ts";
import { admitBlockDeviceRefs, admitBlockDevicesOf } from "./block-device-admission.ts";
import { cloudInitWarnings } from "./cloud-init-warnings.ts";
import { cpuTopology } from "./cpu-topology.ts";
import type { AdmissionContext, AdmissionIssue } from "./kind.ts";
import { admitChangeOfNetworkIds, admitNetworks } from "./network-admission.ts";
import { admitPlacement } from "./placement-admission.ts";
import { sizingProblem } from "./sizing-policy.ts";
import type { VirtualMachine, VirtualMachineSpec } from "./virtual-machine.ts";

/** The broken rules of a VM. */
export async function admitVirtualMachine(
  next: VirtualMachine,
  context: AdmissionContext<VirtualMachine>,
): Promise<AdmissionIssue[]> {
  const { spec } = next;
  const { previous, warn } = context;
  for (const warning of cloudInitWarnings(spec.provisioning?.userData ?? "#cloud-config")) {
    warn(`spec.provisioning.userData: ${warning}`);
  }
  const stopped = previous?.status?.phase === "Stopped";
  return [
    ...admitVirtualMachineSpec(spec, "spec"),
    ...(stopped
      ? []
      : admitChangeOfNetworkIds(
          previous?.spec.networks ?? [],
          spec.networks ?? [],
          "spec.networks",
        )),
    ...(await admitBlockDevicesOf(next, context)),
    ...(await admitSize(spec, "spec", context)),
    ...(await admitAddress(next, context)),
  ];
}

/** The broken rules of a VM's spec, as far as the spec itself tells. */
export function admitVirtualMachineSpec(spec: VirtualMachineSpec, field: string): AdmissionIssue[] {
  return [
    ...admitCores(spec.cpu.cores, `${field}.cpu.cores`),
    ...(parseQuantity(spec.memory.size) > 0
      ? []
      : [{ field: `${field}.memory.size`, message: "must be greater than 0" }]),
    ...admitBlockDeviceRefs(spec.blockDeviceRefs, `${field}.blockDeviceRefs`),
    ...admitLegacy(spec, field),
    ...admitProvisioning(spec.provisioning, `${field}.provisioning`),
    ...admitNetworks(spec.networks ?? [], `${field}.networks`),
    ...admitUsbDevices(spec.usbDevices ?? [], `${field}.usbDevices`),
    ...admitPlacement(spec, field),
  ];
}

function admitCores(cores: number, field: string): AdmissionIssue[] {
  if (cores > 248) return [{ field, message: "number of cores should not exceed 248" }];
  const { sockets, coresPerSocket } = cpuTopology(cores);
  if (sockets * coresPerSocket === cores) return [];
  return [{ field, message: `the requested number of cores must be a multiple of ${sockets}` }];
}

/** Source: the DVP custom resource definitions, rules on `spec` of VirtualMachine. */
function admitLegacy(spec: VirtualMachineSpec, field: string): AdmissionIssue[] {
  if (spec.osType !== "Legacy") return [];
  const rules: readonly (readonly [boolean, string])[] = [
    [spec.bootloader !== "BIOS", "The Legacy osType requires the BIOS bootloader."],
    [
      spec.provisioning !== undefined,
      "The Legacy osType does not support provisioning: such operating systems have no cloud-init or Sysprep support.",
    ],
    [
      !spec.enableParavirtualization && spec.blockDeviceRefs.length > 4,
      "The Legacy osType with enableParavirtualization=false supports at most 4 block devices.",
    ],
  ];
  return rules.flatMap(([broken, message]) => (broken ? [{ field, message }] : []));
}

const MEMBERS = {
  UserData: "userData",
  UserDataRef: "userDataRef",
  SysprepRef: "sysprepRef",
} as const;

function admitProvisioning(
  provisioning: VirtualMachineSpec["provisioning"],
  field: string,
): AdmissionIssue[] {
  if (provisioning === undefined) return [];
  const { type, userData } = provisioning;
  const issues: AdmissionIssue[] = [];
  const wanted = MEMBERS[type];
  const others = Object.values(MEMBERS).filter((member) => member !== wanted);
  if (provisioning[wanted] === undefined) {
    issues.push({ field, message: `${type} requires ${wanted}.` });
  }
  if (others.some((member) => provisioning[member] !== undefined)) {
    issues.push({ field, message: `${type} cannot have ${others.join(" or ")}.` });
  }
  if (userData !== undefined && Buffer.byteLength(userData) > 2048) {
    issues.push({
      field: `${field}.userData`,
      message: "`userData` exceeds 2048 byte limit; should use `userDataRef` for larger data.",
    });
  }
  return issues;
}

function admitUsbDevices(
  devices: readonly { readonly name: string }[],
  field: string,
): AdmissionIssue[] {
  return devices.flatMap(({ name }, index) =>
    devices.findIndex((other) => other.name === name) < index
      ? [{ field: `${field}[${index}]`, message: `duplicate USB device ${name}` }]
      : [],
  );
}

/** The rule that the class of a VM, or of a template for VMs, has for its size. */
export async function admitSize(
  { virtualMachineClassName: name, cpu, memory }: VirtualMachineSpec,
  field: string,
  { get, warn }: Pick<AdmissionContext<VirtualMachine>, "get" | "warn">,
): Promise<AdmissionIssue[]> {
  const vmClass = await get("VirtualMachineClass", { name });
  if (vmClass === undefined) {
    warn(
      `The VM class "${name}" does not exist; it may not have been created yet. Until it is created, the virtual machine will remain in a pending status.`,
    );
    return [];
  }
  const size = { ...cpu, memorySize: memory.size };
  const problem = sizingProblem(name, vmClass.spec.sizingPolicies, size);
  return problem === undefined ? [] : [{ field, message: problem }];
}

/** Source: DVP, rules about addresses and networks of VirtualMachine. */
async function admitAddress(
  { metadata, spec }: VirtualMachine,
  context: AdmissionContext<VirtualMachine>,
): Promise<AdmissionIssue[]> {
  const { networks, virtualMachineIPAddressName } = spec;
  const noRanges = context.virtualMachineCIDRs.length === 0;
  const hasMain = networks === undefined || networks.some(({ type }) => type === "Main");
  const field = "spec.virtualMachineIPAddressName";
  const missing =
    "has no configured IP ranges: set spec.settings.virtualMachineCIDRs of the ModuleConfig";
  const rules: readonly (readonly [boolean, string, string])[] = [
    [
      noRanges && networks !== undefined && hasMain,
      "spec.networks",
      `spec.networks cannot explicitly include Main network type when ModuleConfig/virtualization ${missing}`,
    ],
    [
      noRanges && networks === undefined,
      "spec.networks",
      `spec.networks cannot be empty when ModuleConfig/virtualization ${missing}`,
    ],
    [
      noRanges && virtualMachineIPAddressName !== undefined,
      field,
      "spec.virtualMachineIPAddressName cannot be set when ModuleConfig/virtualization spec.settings.virtualMachineCIDRs is not configured",
    ],
    [
      !hasMain && virtualMachineIPAddressName !== undefined,
      field,
      "spec.virtualMachineIPAddressName cannot be set without Main network type in spec.networks",
    ],
  ];
  const issues = rules.flatMap(([broken, where, message]) =>
    broken ? [{ field: where, message }] : [],
  );
  if (virtualMachineIPAddressName !== undefined || !hasMain) return issues;
  const { name, namespace = "" } = metadata;
  const namesake = await context.get("VirtualMachineIPAddress", { name, namespace });
  if (namesake === undefined) return issues;
  const address = namesake.status?.address ?? namesake.spec.staticIP ?? "";
  return [
    ...issues,
    {
      field,
      message: `VirtualMachineIPAddress with the name of the virtual machine already exists: set spec.virtualMachineIPAddressName field to ${name} to use IP ${address}`,
    },
  ];
}
