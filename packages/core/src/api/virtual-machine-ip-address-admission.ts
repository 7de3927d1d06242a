import { containingRange, isReserved } from "../util/address-range.ts";
import { parseAddress } from "../util/ip-address.ts";
import type { AdmissionContext, AdmissionIssue } from "./kind.ts";
import { leaseName } from "./lease-name.ts";
import { keyOf } from "./meta.ts";
import type { VirtualMachineIPAddress } from "./virtual-machine-ip-address.ts";

/** The broken rules of a claim to an address. Source: DVP, static addresses. */
export async function admitAddress(
  next: VirtualMachineIPAddress,
  context: AdmissionContext<VirtualMachineIPAddress>,
): Promise<AdmissionIssue[]> {
  const { type, staticIP } = next.spec;
  if (context.virtualMachineCIDRs.length === 0) {
    return [
      {
        field: "spec",
        message:
          "operations with VirtualMachineIPAddresses are forbidden: ModuleConfig/virtualization spec.settings.virtualMachineCIDRs field is not configured",
      },
    ];
  }
  const field = "spec.staticIP";
  const refuse = (message: string): AdmissionIssue[] => [{ field, message }];
  if (type === "Auto" && staticIP !== undefined) {
    return refuse(
      `the VirtualMachineIPAddress cannot be created: The 'Static IP' field is set for the ${staticIP} IP address with the 'Auto' type`,
    );
  }
  if (type === "Static") {
    if (staticIP === undefined) {
      return refuse(
        "the 'Static IP' field should be set for the IP address with the 'Static' type",
      );
    }
    if (parseAddress(staticIP) === undefined) {
      return refuse(
        `the specified static IP address "${staticIP}" is not a valid textual representation of an IP address`,
      );
    }
  }
  const changed = admitChangeOfBound(next, context.previous);
  if (changed.length > 0 || staticIP === undefined) return changed;
  return admitStatic(next, staticIP, context);
}

/** A bound address stays what it is; only an automatic one may be pinned. */
function admitChangeOfBound(
  { spec }: VirtualMachineIPAddress,
  previous: VirtualMachineIPAddress | undefined,
): AdmissionIssue[] {
  const current = previous?.status?.address;
  if (previous === undefined || current === undefined) return [];
  const before = previous.spec;
  const same = spec.staticIP !== undefined && isSameAddress(spec.staticIP, current);
  if (before.type === "Auto" && spec.type === "Static" && !same) {
    return [
      {
        field: "spec.staticIP",
        message: `only type change Auto->Static is allowed: can't change current IP ${current} to the specified ${spec.staticIP}`,
      },
    ];
  }
  if (before.type === "Static" && spec.type === "Auto") {
    return [
      {
        field: "spec.type",
        message: "the VirtualMachineIPAddress is in 'Bound' state -> type cannot be changed",
      },
    ];
  }
  if (spec.type === "Static" && !same) {
    return [
      {
        field: "spec.staticIP",
        message: "the VirtualMachineIPAddress is in 'Bound' state -> static IP cannot be changed",
      },
    ];
  }
  return [];
}

async function admitStatic(
  next: VirtualMachineIPAddress,
  address: string,
  context: AdmissionContext<VirtualMachineIPAddress>,
): Promise<AdmissionIssue[]> {
  const { virtualMachineCIDRs, previous } = context;
  const field = "spec.staticIP";
  const range = containingRange(virtualMachineCIDRs, address);
  if (range === undefined) {
    const message = `the requested address ${address} is out of the valid range: choose one in ${virtualMachineCIDRs.join(", ")}`;
    if (previous === undefined) return [{ field, message }];
    context.warn(`${field}: ${message}`);
    return [];
  }
  if (isReserved(range, address) && previous?.status?.address === undefined) {
    return [
      {
        field,
        message: `the requested address ${address} is reserved in ${range.cidr} (network, gateway and broadcast address): choose another`,
      },
    ];
  }
  if (await isTaken(address, next, context)) {
    return [
      {
        field,
        message: `the VirtualMachineIPAddress cannot be created: the specified IP address ${address} has already been allocated and has not been released`,
      },
    ];
  }
  return [];
}

function isSameAddress(left: string, right: string): boolean {
  const [a, b] = [parseAddress(left), parseAddress(right)];
  return a !== undefined && a.family === b?.family && a.value === b.value;
}

/** True when anybody else than the claim holds the address. */
async function isTaken(
  address: string,
  { metadata }: VirtualMachineIPAddress,
  context: AdmissionContext<VirtualMachineIPAddress>,
): Promise<boolean> {
  const lease = await context.get("VirtualMachineIPAddressLease", { name: leaseName(address) });
  if (lease === undefined) return false;
  const ref = lease.spec.virtualMachineIPAddressRef;
  // A lease without a name is kept for its namespace, which may take it again.
  if (ref?.name === undefined) return ref?.namespace !== metadata.namespace;
  return `${ref.namespace}/${ref.name}` !== keyOf(metadata);
}
