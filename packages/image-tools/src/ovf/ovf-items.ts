import type { Element } from "@xmldom/xmldom";
import type { OvfController, OvfDrive, OvfNetworkAdapter, OvfSystem } from "./ovf-description.ts";
import { parseCount, quantityBytes } from "./ovf-units.ts";
import { attributeOf, childrenOf, childText } from "./ovf-xml.ts";

// Values of CIM_ResourceAllocationSettingData.ResourceType.
const CPU = 3;
const MEMORY = 4;
const CONTROLLERS: Readonly<Record<number, OvfController["kind"]>> = {
  5: "ide",
  6: "scsi",
  20: "sata",
};
const ETHERNET = 10;
const DRIVES: Readonly<Record<number, OvfDrive["kind"]>> = {
  14: "floppy",
  15: "cdrom",
  16: "cdrom",
  17: "disk",
};

/** The part of a system that its hardware items describe. */
export type OvfHardware = Pick<
  OvfSystem,
  "cpus" | "memoryBytes" | "controllers" | "drives" | "networkAdapters"
>;

/**
 * Reads the hardware items that hold in the configuration `configuration`, or in every one.
 *
 * @see DSP0243 1.1 and 2.1, clause 8
 */
export function parseItems(
  section: Element,
  configuration: string | undefined,
  warnings: string[],
): OvfHardware {
  let cpus: number | undefined;
  let memoryBytes: number | undefined;
  const controllers: OvfController[] = [];
  const drives: OvfDrive[] = [];
  const networkAdapters: OvfNetworkAdapter[] = [];
  for (const item of itemsOf(section, configuration)) {
    const type = Number(childText(item, "ResourceType"));
    const driveKind = DRIVES[type];
    const controllerKind = CONTROLLERS[type];
    if (type === CPU) cpus = cpuCount(item);
    else if (type === MEMORY) memoryBytes = memorySize(item);
    else if (type === ETHERNET) networkAdapters.push(networkAdapter(item));
    else if (driveKind !== undefined) drives.push(drive(item, driveKind, warnings));
    else if (controllerKind !== undefined) controllers.push(controller(item, controllerKind));
  }
  return {
    ...(cpus === undefined ? {} : { cpus }),
    ...(memoryBytes === undefined ? {} : { memoryBytes }),
    controllers,
    drives,
    networkAdapters,
  };
}

function itemsOf(section: Element, configuration: string | undefined): readonly Element[] {
  const names = ["Item", "StorageItem", "EthernetPortItem"];
  return names
    .flatMap((name) => childrenOf(section, name))
    .filter((item) => {
      // Items with a bound describe the range of a value and not the machine.
      if (attributeOf(item, "bound") !== undefined) return false;
      const wanted = attributeOf(item, "configuration");
      return (
        wanted === undefined ||
        (configuration !== undefined && wanted.split(/\s+/).includes(configuration))
      );
    });
}

function cpuCount(item: Element): number {
  const quantity = childText(item, "VirtualQuantity");
  if (quantity !== undefined) return parseCount(quantity, "the number of CPUs");
  const parts = ["num_of_sockets", "cpu_per_socket", "threads_per_cpu"];
  return parts
    .map((name) => parseCount(childText(item, name) ?? "1", "the number of CPUs"))
    .reduce((product, count) => product * count, 1);
}

function memorySize(item: Element): number {
  const units = childText(item, "AllocationUnits") ?? "byte";
  return quantityBytes(childText(item, "VirtualQuantity") ?? "", units, "the memory size");
}

function controller(item: Element, kind: OvfController["kind"]): OvfController {
  const model = childText(item, "ResourceSubType");
  // The number means any other storage, and to oVirt even a monitor.
  const isKnown = kind !== "sata" || /ahci|sata/i.test(model ?? "");
  return {
    id: instanceId(item),
    kind: isKnown ? kind : "other",
    ...(model === undefined ? {} : { model }),
  };
}

function drive(item: Element, kind: OvfDrive["kind"], warnings: string[]): OvfDrive {
  const id = instanceId(item);
  const controllerId = childText(item, "Parent");
  const address = childText(item, "AddressOnParent");
  return {
    id,
    kind,
    ...hostResource(item, id, warnings),
    ...(controllerId === undefined ? {} : { controllerId }),
    ...(address !== undefined && /^\d{1,9}$/.test(address) ? { address: Number(address) } : {}),
  };
}

// "ovf:/disk/id", "/disk/id" (0.9 and VirtualBox), and oVirt's "image/disk" of its storage domains.
function hostResource(
  item: Element,
  id: string,
  warnings: string[],
): Pick<OvfDrive, "diskId" | "fileId"> {
  const resource = childText(item, "HostResource");
  if (resource === undefined) return {};
  const [, kind, name = ""] = /^(?:ovf:)?\/*(disk|file)\/(.+)$/.exec(resource) ?? [];
  if (kind === "disk") return { diskId: name };
  if (kind === "file") return { fileId: name };
  const [, ovirtDisk] = /^[0-9a-f-]{36}\/([0-9a-f-]{36})$/i.exec(resource) ?? [];
  if (ovirtDisk !== undefined) return { diskId: ovirtDisk };
  warnings.push(`the content of drive ${id} is not known: "${resource}"`);
  return {};
}

function networkAdapter(item: Element): OvfNetworkAdapter {
  const name = childText(item, "ElementName", "Name", "Caption");
  const model = childText(item, "ResourceSubType");
  const network = childText(item, "Connection");
  const address = childText(item, "Address", "MACAddress");
  const macAddress = address?.toLowerCase().replaceAll("-", ":");
  return {
    id: instanceId(item),
    ...(name === undefined ? {} : { name }),
    ...(model === undefined ? {} : { model }),
    ...(network === undefined ? {} : { network }),
    ...(macAddress !== undefined && /^([0-9a-f]{2}:){5}[0-9a-f]{2}$/.test(macAddress)
      ? { macAddress }
      : {}),
  };
}

function instanceId(item: Element): string {
  return childText(item, "InstanceID", "InstanceId") ?? "";
}
