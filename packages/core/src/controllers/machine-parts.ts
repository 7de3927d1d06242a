import { createHash } from "node:crypto";
import type { ConditionInput } from "../api/conditions.ts";
import { GROUP, V1ALPHA2 } from "../api/meta.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { VirtualMachineClass } from "../api/virtual-machine-class.ts";
import type { VirtualMachineIPAddress } from "../api/virtual-machine-ip-address.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { condition } from "../machine/machine-conditions.ts";
import { type AddressRange, containingRange } from "../util/address-range.ts";
import { isPolyvisorError } from "../util/errors.ts";
import type { ControllerContext } from "./controller-context.ts";
import { currentSettings } from "./current-settings.ts";
import { holdsDisk } from "./disk-users.ts";

/** What a VM needs from other resources, as far as it is there. */
export interface MachineParts {
  readonly vmClass?: VirtualMachineClass;
  readonly address?: {
    readonly claimName: string;
    readonly address?: string;
    readonly range?: AddressRange;
  };
  readonly disks: readonly VirtualDisk[];
  readonly userData?: string;
  /** One for each need. */
  readonly conditions: readonly ConditionInput[];
  /** True when the guest can be built. */
  readonly ready: boolean;
}

/** Gathers what a VM needs. Makes the claim to an address when the VM names none. */
export async function gatherMachineParts(
  vm: VirtualMachine,
  context: ControllerContext,
): Promise<MachineParts> {
  const [classPart, addressPart, diskPart, provisioningPart] = [
    findClass(vm, context),
    await findAddress(vm, context),
    findDisks(vm, context),
    findUserData(vm, context),
  ];
  const conditions = [
    addressPart.condition,
    classPart.condition,
    diskPart.condition,
    provisioningPart.condition,
  ];
  const { vmClass } = classPart;
  const { address } = addressPart;
  const { userData } = provisioningPart;
  return {
    ...(vmClass && { vmClass }),
    ...(address && { address }),
    ...(userData !== undefined && { userData }),
    disks: diskPart.disks,
    conditions,
    ready: conditions.every(({ status }) => status === "True"),
  };
}

function findClass(
  vm: VirtualMachine,
  { caches }: ControllerContext,
): { readonly vmClass?: VirtualMachineClass; readonly condition: ConditionInput } {
  const type = "VirtualMachineClassReady";
  const name = vm.spec.virtualMachineClassName;
  const vmClass = caches.of("VirtualMachineClass").get(name);
  if (vmClass) return { vmClass, condition: condition(type, "True", type) };
  const known = [...caches.of("VirtualMachineClass").values()].map(({ metadata }) => metadata.name);
  const message = `spec.virtualMachineClassName: VirtualMachineClass "${name}" does not exist: create it or choose one of ${known.sort().join(", ")}.`;
  return { condition: condition(type, "False", "VirtualMachineClassNotReady", message) };
}

function findDisks(
  vm: VirtualMachine,
  { caches }: ControllerContext,
): { readonly disks: readonly VirtualDisk[]; readonly condition: ConditionInput } {
  const disks: VirtualDisk[] = [];
  const problems: string[] = [];
  vm.spec.blockDeviceRefs.forEach(({ name }, index) => {
    const disk = caches.of("VirtualDisk").get(`${vm.metadata.namespace}/${name}`);
    const field = `spec.blockDeviceRefs[${index}]`;
    const holder = disk?.status?.attachedToVirtualMachines?.find(({ mounted }) => mounted)?.name;
    if (disk === undefined) {
      problems.push(
        `${field}: VirtualDisk "${name}" does not exist: create it or correct the name.`,
      );
    } else if (holder !== undefined && holdsDisk(vm, name)) {
      // It was Ready when the VM took it; should it be deleted since, it waits for the VM. A start that has not come to
      // take it finds out that another VM has it, and is given up instead of waiting with the disks that it has.
    } else if (disk.metadata.deletionTimestamp !== undefined) {
      problems.push(`${field}: VirtualDisk "${name}" is being deleted: name another disk.`);
    } else if (disk.status?.phase !== "Ready") {
      problems.push(
        `${field}: VirtualDisk "${name}" is ${disk.status?.phase ?? "Pending"}: waiting for it to be Ready.`,
      );
    } else if (holder !== undefined && holder !== vm.metadata.name) {
      problems.push(
        `${field}: VirtualDisk "${name}" is in use by VirtualMachine "${holder}": stop that VM or name another disk.`,
      );
    }
    if (disk) disks.push(disk);
  });
  const type = "BlockDevicesReady";
  return {
    disks,
    condition:
      problems.length === 0
        ? condition(type, "True", type)
        : condition(type, "False", "BlockDevicesNotReady", problems.join(" ")),
  };
}

function findUserData(
  vm: VirtualMachine,
  { caches }: ControllerContext,
): { readonly userData?: string; readonly condition: ConditionInput } {
  const type = "ProvisioningReady";
  const ready = condition(type, "True", type);
  const { provisioning } = vm.spec;
  if (provisioning === undefined) return { condition: ready };
  if (provisioning.userData !== undefined)
    return { userData: provisioning.userData, condition: ready };
  const name = provisioning.userDataRef?.name ?? "";
  const notReady = (message: string): { condition: ConditionInput } => ({
    condition: condition(
      type,
      "False",
      "ProvisioningNotReady",
      `spec.provisioning.userDataRef: ${message}`,
    ),
  });
  const secret = caches.of("Secret").get(`${vm.metadata.namespace}/${name}`);
  if (secret === undefined)
    return notReady(`Secret ${vm.metadata.namespace}/${name} not found: create it.`);
  const wanted = `provisioning.${GROUP}/cloud-init`;
  if (secret.type !== wanted)
    return notReady(`Unexpected secret type: ${secret.type}: it must be ${wanted}.`);
  const encoded = secret.data["userData"] ?? secret.data["userdata"];
  if (encoded === undefined)
    return notReady(`Secret ${vm.metadata.namespace}/${name} has no key userData.`);
  return { userData: Buffer.from(encoded, "base64").toString(), condition: ready };
}

/** The name of the claim of a VM that names none: always the same for the same VM, so that there is never a second. */
export function ownClaimName({ metadata: { name, uid } }: VirtualMachine): string {
  const digest = createHash("sha256").update(uid).digest("hex");
  return `${name}-${digest.slice(0, 5)}`;
}

async function findAddress(
  vm: VirtualMachine,
  context: ControllerContext,
): Promise<{
  readonly address?: NonNullable<MachineParts["address"]>;
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
