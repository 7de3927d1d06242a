import type { AdmissionContext, AdmissionIssue } from "./kind.ts";
import { defaultCoreFraction } from "./sizing-policy.ts";
import { DEFAULT_CLASS_ANNOTATION, isDefaultClass } from "./default-class.ts";
import type { NetworkRef, VirtualMachine, VirtualMachineSpec } from "./virtual-machine.ts";

type Lookup = Pick<AdmissionContext<VirtualMachine>, "get" | "list">;

/** Fills in the class, the core fraction and the ids of networks. Source: DVP, defaults of VirtualMachine. */
export async function setVirtualMachineDefaults(
  next: VirtualMachine,
  context: AdmissionContext<VirtualMachine>,
): Promise<VirtualMachine | readonly AdmissionIssue[]> {
  const spec = await fillMachineSpec(next.spec, context.previous?.spec, "spec", context);
  return "field" in spec ? [spec] : { ...next, spec };
}

/** The spec of a VM, or of a template for VMs, with what other resources decide filled in. */
export async function fillMachineSpec(
  spec: VirtualMachineSpec,
  before: VirtualMachineSpec | undefined,
  field: string,
  lookup: Lookup,
): Promise<VirtualMachineSpec | AdmissionIssue> {
  const virtualMachineClassName =
    spec.virtualMachineClassName || before?.virtualMachineClassName || (await defaultClass(lookup));
  if (virtualMachineClassName === undefined) {
    return {
      field: `${field}.virtualMachineClassName`,
      message: `spec.virtualMachineClassName is empty and no default VirtualMachineClass is configured; set spec.virtualMachineClassName explicitly or mark one VirtualMachineClass as default with the "${DEFAULT_CLASS_ANNOTATION}" annotation set to "true"`,
    };
  }
  const coreFraction =
    spec.cpu.coreFraction ||
    (await fractionOfClass(virtualMachineClassName, spec.cpu.cores, field, lookup));
  if (typeof coreFraction !== "string") return coreFraction;
  return {
    ...spec,
    virtualMachineClassName,
    cpu: { ...spec.cpu, coreFraction },
    ...(spec.networks && { networks: numbered(spec.networks, before?.networks) }),
  };
}

async function fractionOfClass(
  name: string,
  cores: number,
  field: string,
  { get }: Lookup,
): Promise<string | AdmissionIssue> {
  const vmClass = await get("VirtualMachineClass", { name });
  if (vmClass === undefined) {
    return {
      field: `${field}.virtualMachineClassName`,
      message: `failed to get VirtualMachineClass "${name}", which decides the default of spec.cpu.coreFraction: create the class first, or set spec.cpu.coreFraction`,
    };
  }
  const found = defaultCoreFraction(vmClass.spec.sizingPolicies, cores);
  if ("coreFraction" in found) return found.coreFraction;
  return { field: `${field}.cpu.coreFraction`, message: found.problem };
}

async function defaultClass({ list }: Lookup): Promise<string | undefined> {
  const classes = await list("VirtualMachineClass");
  return classes.find(isDefaultClass)?.metadata.name;
}

/** Interfaces keep the ids that they have; new ones get the next. */
function numbered(
  networks: readonly NetworkRef[],
  before: readonly NetworkRef[] = [],
): NetworkRef[] {
  const known = networks.map((network) => {
    if (network.id !== undefined) return network;
    const same = before.find(({ type, name }) => type === network.type && name === network.name);
    const id = network.type === "Main" ? 1 : same?.id;
    return id === undefined ? network : { ...network, id };
  });
  let last = Math.max(1, ...[...known, ...before].map(({ id = 1 }) => id));
  return known.map((network) => {
    if (network.id !== undefined) return network;
    last += 1;
    return { ...network, id: last };
  });
}
