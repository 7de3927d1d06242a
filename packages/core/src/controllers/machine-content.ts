import type { Kind } from "../api/kinds.ts";
import { keyOf, type ObjectMeta } from "../api/meta.ts";
import type { VirtualDisk } from "../api/virtual-disk.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { VirtualMachineSnapshot } from "../api/virtual-machine-snapshot.ts";
import { macAddressesOf, provisioningSecretOf } from "../snapshots/machine-references.ts";
import type {
  KeptAddress,
  KeptObject,
  MachineSnapshotContent,
} from "../snapshots/machine-snapshot-content.ts";
import type { ControllerContext } from "./controller-context.ts";

/** The name of the snapshot of a disk that belongs to a snapshot of its machine. */
export function diskSnapshotName(disk: string, { metadata }: VirtualMachineSnapshot): string {
  return `${disk}-${metadata.uid}`;
}

/** What a snapshot of a machine keeps besides the content of disks, as it is now. */
export function gatherContent(
  snapshot: VirtualMachineSnapshot,
  vm: VirtualMachine,
  disks: readonly VirtualDisk[],
  { caches }: ControllerContext,
): MachineSnapshotContent {
  const { namespace } = vm.metadata;
  const inNamespace = (name: string): string => `${namespace}/${name}`;
  const spec = vm.spec as unknown as KeptObject["spec"];
  const addressName = vm.status?.virtualMachineIPAddressName;
  const ipAddress =
    addressName === undefined
      ? undefined
      : keptAddress(caches.of("VirtualMachineIPAddress").get(inNamespace(addressName)));
  const secretName = provisioningSecretOf(spec);
  const secret =
    secretName === undefined ? undefined : caches.of("Secret").get(inNamespace(secretName));
  const attachments = [...caches.of("VirtualMachineBlockDeviceAttachment").values()].filter(
    ({ metadata, spec: wanted }) =>
      metadata.namespace === namespace &&
      metadata.deletionTimestamp === undefined &&
      wanted.virtualMachineName === vm.metadata.name,
  );
  return {
    virtualMachine: keptObject(vm.metadata, spec),
    virtualDisks: disks.map((disk) => ({
      ...keptObject(disk.metadata, { persistentVolumeClaim: volumeOf(disk) }),
      snapshotName: diskSnapshotName(disk.metadata.name, snapshot),
    })),
    ...(ipAddress && { ipAddress }),
    macAddresses: macAddressesOf(spec).flatMap(
      (name) => keptAddress(caches.of("VirtualMachineMACAddress").get(inNamespace(name))) ?? [],
    ),
    ...(secret && {
      secret: { name: secret.metadata.name, type: secret.type, data: secret.data },
    }),
    attachments: attachments.map(({ metadata, spec: wanted }) =>
      keptObject(metadata, wanted as unknown as KeptObject["spec"]),
    ),
  };
}

/** The disks of a machine: those that it names and those that are attached to it. */
export function disksOf(
  vm: VirtualMachine,
  { caches }: ControllerContext,
): {
  readonly names: readonly string[];
  readonly disks: readonly VirtualDisk[];
} {
  const { namespace, name } = vm.metadata;
  const attached = [...caches.of("VirtualMachineBlockDeviceAttachment").values()]
    .filter(
      ({ metadata, spec }) => metadata.namespace === namespace && spec.virtualMachineName === name,
    )
    .map(({ spec }) => spec.blockDeviceRef);
  const names = [...vm.spec.blockDeviceRefs, ...attached].flatMap((ref) =>
    ref.kind === "VirtualDisk" ? [ref.name] : [],
  );
  const unique = [...new Set(names)];
  const cache = caches.of("VirtualDisk");
  return {
    names: unique,
    disks: unique.flatMap((disk) => cache.get(`${namespace}/${disk}`) ?? []),
  };
}

/** What a snapshot covers, as its status lists it. */
export function coveredResources(
  content: MachineSnapshotContent,
): NonNullable<NonNullable<VirtualMachineSnapshot["status"]>["resources"]> {
  const api = "virtualization.deckhouse.io/v1alpha2";
  const of = (kind: Kind, names: readonly string[], apiVersion = api) =>
    names.map((name) => ({ apiVersion, kind, name }));
  const { virtualMachine, ipAddress, macAddresses, secret, virtualDisks, attachments } = content;
  return [
    ...of("VirtualMachine", [virtualMachine.name]),
    ...of("VirtualMachineIPAddress", ipAddress ? [ipAddress.name] : []),
    ...of(
      "VirtualMachineMACAddress",
      macAddresses.map(({ name }) => name),
    ),
    ...of("Secret", secret ? [secret.name] : [], "v1"),
    ...of(
      "VirtualDisk",
      virtualDisks.map(({ name }) => name),
    ),
    ...of(
      "VirtualMachineBlockDeviceAttachment",
      attachments.map(({ name }) => name),
    ),
  ];
}

function keptObject(
  { name, labels, annotations }: ObjectMeta,
  spec: KeptObject["spec"],
): KeptObject {
  return { name, ...(labels && { labels }), ...(annotations && { annotations }), spec };
}

function keptAddress(
  claim:
    | {
        readonly metadata: ObjectMeta;
        readonly spec: object;
        readonly status?: { readonly address?: string };
      }
    | undefined,
): KeptAddress | undefined {
  const address = claim?.status?.address;
  if (claim === undefined || address === undefined) return undefined;
  const { metadata, spec } = claim;
  return { ...keptObject(metadata, { ...spec }), address };
}

function volumeOf({ spec, status }: VirtualDisk): Record<string, unknown> {
  const size = status?.capacity ?? spec.persistentVolumeClaim?.size;
  const storageClassName = status?.storageClassName;
  return {
    ...(size !== undefined && { size }),
    ...(storageClassName !== undefined && { storageClassName }),
  };
}

/** The key of the machine of a snapshot. */
export function machineKeyOf({ metadata, spec }: VirtualMachineSnapshot): string {
  const { namespace = "" } = metadata;
  return keyOf({ namespace, name: spec.virtualMachineName });
}
