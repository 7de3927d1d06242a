import { isPlainObject } from "../util/json.ts";
import type { KeptObject } from "./machine-snapshot-content.ts";

type Spec = KeptObject["spec"];

/** What a kept machine or attachment names. Names that are not of the right shape are left as they are. */
export interface MachineReference {
  readonly kind:
    | "VirtualDisk"
    | "VirtualImage"
    | "ClusterVirtualImage"
    | "VirtualMachine"
    | "VirtualMachineIPAddress"
    | "VirtualMachineMACAddress"
    | "Secret";
  readonly name: string;
}

const DEVICE_KINDS: readonly unknown[] = ["VirtualDisk", "VirtualImage", "ClusterVirtualImage"];

/** The block devices that the spec of a machine names. */
export function blockDevicesOf(spec: Spec): MachineReference[] {
  return itemsOf(spec["blockDeviceRefs"]).flatMap((ref) => deviceReference(ref) ?? []);
}

function deviceReference(ref: Readonly<Record<string, unknown>>): MachineReference | undefined {
  const { kind, name } = ref;
  if (!DEVICE_KINDS.includes(kind) || typeof name !== "string") return undefined;
  return { kind: kind as MachineReference["kind"], name };
}

/** The block device that the spec of an attachment names. */
export function attachedDeviceOf(spec: Spec): MachineReference | undefined {
  const ref = spec["blockDeviceRef"];
  return isPlainObject(ref) ? deviceReference(ref) : undefined;
}

/** The spec of a machine with other names, and without the block devices that `keep` says no to. */
export function renameMachineSpec(
  spec: Spec,
  rename: (reference: MachineReference) => string,
  keep: (device: MachineReference) => boolean,
): Spec {
  const devices = itemsOf(spec["blockDeviceRefs"]).flatMap((ref) => {
    const device = deviceReference(ref);
    if (device === undefined) return [ref];
    return keep(device) ? [{ ...ref, name: rename(device) }] : [];
  });
  const addressName = spec["virtualMachineIPAddressName"];
  const networks = spec["networks"];
  const { provisioning } = spec;
  return {
    ...spec,
    blockDeviceRefs: devices,
    ...(typeof addressName === "string" && {
      virtualMachineIPAddressName: rename({ kind: "VirtualMachineIPAddress", name: addressName }),
    }),
    ...(Array.isArray(networks) && {
      networks: itemsOf(networks).map((network) => {
        const name = network["virtualMachineMACAddressName"];
        if (typeof name !== "string") return network;
        const renamed = rename({ kind: "VirtualMachineMACAddress", name });
        return { ...network, virtualMachineMACAddressName: renamed };
      }),
    }),
    ...(isPlainObject(provisioning) && { provisioning: renameProvisioning(provisioning, rename) }),
  };
}

/** The names of MAC addresses that the spec of a machine names. */
export function macAddressesOf(spec: Spec): string[] {
  return itemsOf(spec["networks"]).flatMap(({ virtualMachineMACAddressName: name }) =>
    typeof name === "string" ? [name] : [],
  );
}

/** The name of the secret that the provisioning of a machine names. */
export function provisioningSecretOf(spec: Spec): string | undefined {
  const { provisioning } = spec;
  if (!isPlainObject(provisioning)) return undefined;
  return ["userDataRef", "sysprepRef"]
    .map((field) => provisioning[field])
    .flatMap((ref) => (isPlainObject(ref) && typeof ref["name"] === "string" ? [ref["name"]] : []))
    .at(0);
}

function renameProvisioning(
  provisioning: Readonly<Record<string, unknown>>,
  rename: (reference: MachineReference) => string,
): Readonly<Record<string, unknown>> {
  const renamed: Record<string, unknown> = { ...provisioning };
  for (const field of ["userDataRef", "sysprepRef"]) {
    const ref = renamed[field];
    if (!isPlainObject(ref) || typeof ref["name"] !== "string") continue;
    renamed[field] = { ...ref, name: rename({ kind: "Secret", name: ref["name"] }) };
  }
  return renamed;
}

/** The spec of an attachment for another machine, with the device's new name. */
export function renameAttachmentSpec(
  spec: Spec,
  virtualMachineName: string,
  rename: (reference: MachineReference) => string,
): Spec {
  const device = attachedDeviceOf(spec);
  const ref = spec["blockDeviceRef"];
  if (device === undefined || !isPlainObject(ref)) return { ...spec, virtualMachineName };
  return { ...spec, virtualMachineName, blockDeviceRef: { ...ref, name: rename(device) } };
}

function itemsOf(value: unknown): Readonly<Record<string, unknown>>[] {
  return Array.isArray(value) ? value.filter((item) => isPlainObject(item)) : [];
}
