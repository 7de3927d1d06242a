import type { ConditionInput } from "../api/conditions.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { condition } from "../machine/machine-conditions.ts";
import type { ControllerContext } from "./controller-context.ts";

/** The MAC address that a VM names for its interface, or what it waits for. A VM that names none gets one by its IP. */
export function findMac(
  vm: VirtualMachine,
  { caches }: ControllerContext,
): { readonly mac?: string; readonly condition: ConditionInput } {
  const type = "VirtualMachineMACAddressReady";
  const named = vm.spec.networks?.[0]?.virtualMachineMACAddressName;
  if (named === undefined) return { condition: condition(type, "True", type) };
  const no = (reason: string, message: string): { condition: ConditionInput } => ({
    condition: condition(type, "False", reason, message),
  });
  const what = `spec.networks[0]: VirtualMachineMACAddress ${JSON.stringify(named)}`;
  const claim = caches.of("VirtualMachineMACAddress").get(`${vm.metadata.namespace}/${named}`);
  if (claim === undefined) {
    return no(
      "VirtualMachineMACAddressNotAvailable",
      `${what} was not found: waiting for it to appear.`,
    );
  }
  const { phase, address, virtualMachineName: user, conditions } = claim.status ?? {};
  if (user !== undefined && user !== vm.metadata.name) {
    return no(
      "VirtualMachineMACAddressNotAvailable",
      `${what} is attached to VirtualMachine ${JSON.stringify(user)}: waiting for it to be released.`,
    );
  }
  if (phase !== "Attached" || address === undefined) {
    const why = conditions?.find(({ type: bound }) => bound === "Bound")?.message;
    return no(
      "VirtualMachineMACAddressNotReady",
      why || `${what} is not attached to the VM yet: waiting for that.`,
    );
  }
  return { mac: address, condition: condition(type, "True", type) };
}
