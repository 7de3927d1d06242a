import { createHash } from "node:crypto";
import type { ConditionInput } from "../api/conditions.ts";
import { GROUP, V1ALPHA2 } from "../api/meta.ts";
import type { VirtualMachineIPAddress } from "../api/virtual-machine-ip-address.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { condition } from "../machine/machine-conditions.ts";
import { type AddressRange, containingRange } from "../util/address-range.ts";
import { isPolyvisorError } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { currentSettings } from "./current-settings.ts";

/** The address of a VM, as far as it is there. */
export interface MachineAddress {
  readonly claimName: string;
  readonly address?: string;
  readonly range?: AddressRange;
}

/** The name of the claim of a VM that names none: always the same for the same VM, so that there is never a second. */
export function ownClaimName({ metadata: { name, uid } }: VirtualMachine): string {
  const digest = createHash("sha256").update(uid).digest("hex");
  return `${name}-${digest.slice(0, 5)}`;
}

/** Finds the address of a VM. Makes the claim to one when the VM names none. */
export async function findAddress(
  vm: VirtualMachine,
  context: ControllerContext,
): Promise<{
  readonly address?: MachineAddress;
  readonly condition: ConditionInput;
}> {
  const type = "VirtualMachineIPAddressReady";
  const notReady = (reason: string, message: string): ConditionInput =>
    condition(type, "False", reason, message);
  const named = vm.spec.virtualMachineIPAddressName;
  const { namespace = "", name: vmName } = vm.metadata;
  const claimName = named ?? ownClaimName(vm);
  const claim =
    context.caches.of("VirtualMachineIPAddress").get(`${namespace}/${claimName}`) ??
    (named === undefined ? await claimAddress(vm, claimName, context) : undefined);
  if (claim === undefined) {
    const message = `spec.virtualMachineIPAddressName: The requested VirtualMachineIPAddress "${claimName}" was not found: waiting for it to appear.`;
    return { condition: notReady("VirtualMachineIPAddressNotAvailable", message) };
  }
  const user = claim.status?.virtualMachineName;
  if (user !== undefined && user !== vmName) {
    const message = `spec.virtualMachineIPAddressName: VirtualMachineIPAddress "${claimName}" is attached to VirtualMachine "${user}": waiting for it to be released.`;
    return { condition: notReady("VirtualMachineIPAddressNotAvailable", message) };
  }
  const address = claim.status?.phase === "Pending" ? undefined : claim.status?.address;
  if (address === undefined) {
    const why = claim.status?.conditions.find((input) => input.type === "Bound")?.message;
    const message = why ?? "The IP address is not bound yet: waiting for it to be assigned.";
    return {
      address: { claimName },
      condition: notReady("VirtualMachineIPAddressNotReady", message),
    };
  }
  const range = containingRange(currentSettings(context.caches).virtualMachineCIDRs, address);
  if (range === undefined) {
    const message = `The address ${address} is in none of the configured ranges: add its range to spec.settings.virtualMachineCIDRs of ModuleConfig/virtualization.`;
    return {
      address: { claimName, address },
      condition: notReady("VirtualMachineIPAddressNotReady", message),
    };
  }
  // Of several VMs that name the address, the one that it is attached to may start.
  if (user === undefined) {
    const message = `The address ${address} is not attached to the VM yet: waiting for that.`;
    return {
      address: { claimName, address, range },
      condition: notReady("VirtualMachineIPAddressNotReady", message),
    };
  }
  return { address: { claimName, address, range }, condition: condition(type, "True", type) };
}

async function claimAddress(
  vm: VirtualMachine,
  name: string,
  { store }: ControllerContext,
): Promise<VirtualMachineIPAddress | undefined> {
  const { namespace = "", uid } = vm.metadata;
  try {
    return await store.create("VirtualMachineIPAddress", {
      apiVersion: V1ALPHA2,
      kind: "VirtualMachineIPAddress",
      metadata: {
        name,
        namespace,
        labels: { [`${GROUP}/virtual-machine-uid`]: uid },
        ownerReferences: [
          { apiVersion: vm.apiVersion, kind: vm.kind, name: vm.metadata.name, uid },
        ],
      },
      spec: { type: "Auto" },
    });
  } catch (error) {
    if (!isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) throw error;
    return store.get("VirtualMachineIPAddress", { name, namespace });
  }
}
