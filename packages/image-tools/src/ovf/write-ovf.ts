import { ImageError } from "../image-error.ts";
import type {
  OvfController,
  OvfDescription,
  OvfDisk,
  OvfDrive,
  OvfFile,
  OvfSystem,
} from "./ovf-description.ts";
import { confinedHref } from "./ovf-href.ts";
import { xmlElement, type XmlNode } from "./write-xml.ts";

const CIM = "http://schemas.dmtf.org/wbem/wscim/1/cim-schema/2";
const OTHER_OPERATING_SYSTEM = 1;
const CONTROLLER_TYPES: Readonly<Record<OvfController["kind"], number>> = {
  ide: 5,
  scsi: 6,
  sata: 20,
  other: 20,
};
const DRIVE_TYPES: Readonly<Record<OvfDrive["kind"], number>> = { floppy: 14, cdrom: 15, disk: 17 };

/** Options of {@link writeOvf}. */
export interface WriteOvfOptions {
  /** Version of the standard: 1 is understood by every importer. Default: "1". */
  readonly version?: "1" | "2";
}

/**
 * Writes the OVF descriptor of one virtual machine; the `version` and `warnings` of the
 * description do not matter. Equal descriptions give equal text.
 *
 * @throws ImageError `IMAGE_INVALID_ARGUMENT` unless there is exactly one system, all references
 * lead to something, and every text can be written in XML; `IMAGE_UNSAFE` for a reference out of
 * the package.
 * @see DSP0243, Open Virtualization Format Specification
 */
export function writeOvf(
  description: Omit<OvfDescription, "version" | "warnings">,
  options: WriteOvfOptions = {},
): string {
  const { version = "1" } = options;
  const { files, disks, networks, systems } = description;
  const [system] = systems;
  if (system === undefined || systems.length > 1) {
    throw new ImageError("IMAGE_INVALID_ARGUMENT", "an OVF descriptor is written for one system");
  }
  checkReferences(description, system);
  const namespace = `http://schemas.dmtf.org/ovf/envelope/${version}`;
  const envelope = xmlElement(
    "Envelope",
    {
      xmlns: namespace,
      "xmlns:ovf": namespace,
      "xmlns:rasd": `${CIM}/CIM_ResourceAllocationSettingData`,
      "xmlns:vssd": `${CIM}/CIM_VirtualSystemSettingData`,
      ...(version === "2"
        ? {
            "xmlns:epasd": `${CIM}/CIM_EthernetPortAllocationSettingData.xsd`,
            "xmlns:sasd": `${CIM}/CIM_StorageAllocationSettingData.xsd`,
          }
        : {}),
      "xmlns:vmw": "http://www.vmware.com/schema/ovf",
    },
    xmlElement("References", {}, ...files.map(writeFile)),
    section("DiskSection", "Virtual disks", ...disks.map(writeDisk)),
    section(
      "NetworkSection",
      "Networks",
      ...networks.map(({ name, description: text = name }) =>
        xmlElement("Network", { "ovf:name": name }, xmlElement("Description", {}, text)),
      ),
    ),
    writeSystem(system, version),
  );
  return `<?xml version="1.0" encoding="UTF-8"?>\n${envelope.xml}\n`;
}

function section(name: string, info: string, ...children: readonly XmlNode[]): XmlNode {
  return xmlElement(name, {}, xmlElement("Info", {}, info), ...children);
}

function writeFile(file: OvfFile): XmlNode {
  return xmlElement("File", {
    "ovf:id": file.id,
    "ovf:href": confinedHref(file.href),
    "ovf:size": file.sizeBytes,
    "ovf:compression": file.compression,
    "ovf:chunkSize": file.chunkSizeBytes,
  });
}

function writeDisk(disk: OvfDisk): XmlNode {
  return xmlElement("Disk", {
    "ovf:diskId": disk.id,
    "ovf:fileRef": disk.fileId,
    "ovf:capacity": disk.capacityBytes,
    "ovf:capacityAllocationUnits": "byte",
    "ovf:format": disk.format,
    "ovf:parentRef": disk.parentId,
  });
}

function writeSystem(system: OvfSystem, version: "1" | "2"): XmlNode {
  const { operatingSystem = {}, hardwareType = "vmx-13", name = system.id } = system;
  const { id: osId = OTHER_OPERATING_SYSTEM, description } = operatingSystem;
  return xmlElement(
    "VirtualSystem",
    { "ovf:id": system.id },
    xmlElement("Info", {}, "A virtual machine"),
    xmlElement("Name", {}, name),
    xmlElement(
      "OperatingSystemSection",
      { "ovf:id": osId },
      xmlElement("Info", {}, "The operating system"),
      ...(description === undefined ? [] : [xmlElement("Description", {}, description)]),
    ),
    section(
      "VirtualHardwareSection",
      "Virtual hardware",
      xmlElement(
        "System",
        {},
        xmlElement("vssd:ElementName", {}, "Virtual Hardware Family"),
        xmlElement("vssd:InstanceID", {}, "0"),
        xmlElement("vssd:VirtualSystemIdentifier", {}, name),
        xmlElement("vssd:VirtualSystemType", {}, hardwareType),
      ),
      ...writeItems(system, version),
      ...(system.firmware === undefined
        ? []
        : [
            xmlElement("vmw:Config", {
              "ovf:required": "false",
              "vmw:key": "firmware",
              "vmw:value": system.firmware,
            }),
          ]),
    ),
  );
}

type ItemFields = Readonly<Record<string, string | number | undefined>>;

function writeItems(system: OvfSystem, version: "1" | "2"): readonly XmlNode[] {
  const item = (kind: "Item" | "StorageItem" | "EthernetPortItem", fields: ItemFields): XmlNode => {
    const prefix =
      version === "1" || kind === "Item" ? "rasd" : kind === "StorageItem" ? "sasd" : "epasd";
    // The schema wants the fields in the order of their names.
    const children = Object.entries(fields)
      .filter(([, value]) => value !== undefined)
      .toSorted(([a], [b]) => (a < b ? -1 : 1))
      .map(([name, value]) => xmlElement(`${prefix}:${name}`, {}, String(value)));
    return xmlElement(version === "1" ? "Item" : kind, {}, ...children);
  };
  const ids = new InstanceIds(system);
  const { cpus, memoryBytes } = system;
  return [
    ...(cpus === undefined
      ? []
      : [
          item("Item", {
            AllocationUnits: "hertz * 10^6",
            ElementName: `${cpus} virtual CPU`,
            InstanceID: ids.next(),
            ResourceType: 3,
            VirtualQuantity: cpus,
          }),
        ]),
    ...(memoryBytes === undefined
      ? []
      : [
          item("Item", {
            AllocationUnits: "byte * 2^20",
            ElementName: "Memory",
            InstanceID: ids.next(),
            ResourceType: 4,
            VirtualQuantity: Math.ceil(memoryBytes / 2 ** 20),
          }),
        ]),
    ...system.controllers.map(({ id, kind, model }, index) =>
      item("Item", {
        Address: index,
        ElementName: `Controller ${index}`,
        InstanceID: id,
        ResourceSubType: model ?? (kind === "sata" ? "AHCI" : undefined),
        ResourceType: CONTROLLER_TYPES[kind],
      }),
    ),
    ...system.drives.map(({ id, kind, diskId, fileId, controllerId, address }) =>
      item(kind === "floppy" ? "Item" : "StorageItem", {
        AddressOnParent: address,
        ElementName: `Drive ${id}`,
        HostResource:
          diskId === undefined ? fileId && `ovf:/file/${fileId}` : `ovf:/disk/${diskId}`,
        InstanceID: id,
        Parent: controllerId,
        ResourceType: DRIVE_TYPES[kind],
      }),
    ),
    ...system.networkAdapters.map(({ id, name, model, network, macAddress }) =>
      item("EthernetPortItem", {
        Address: macAddress,
        AutomaticAllocation: "true",
        Connection: network,
        ElementName: name ?? `Network adapter ${id}`,
        InstanceID: id,
        ResourceSubType: model,
        ResourceType: 10,
      }),
    ),
  ];
}

/** Numbers for items that the description does not number. */
class InstanceIds {
  readonly #taken: ReadonlySet<string>;
  #last = 0;

  constructor({ controllers, drives, networkAdapters }: OvfSystem) {
    this.#taken = new Set([...controllers, ...drives, ...networkAdapters].map(({ id }) => id));
  }

  next(): number {
    do this.#last += 1;
    while (this.#taken.has(String(this.#last)));
    return this.#last;
  }
}

function checkReferences(
  { files, disks, networks }: Omit<OvfDescription, "version" | "warnings">,
  { controllers, drives, networkAdapters }: OvfSystem,
): void {
  const idsOf = (things: readonly { readonly id: string }[]): readonly (string | undefined)[] => [
    undefined,
    ...things.map(({ id }) => id),
  ];
  const has = (ids: readonly (string | undefined)[], id: string | undefined): boolean =>
    ids.includes(id);
  const hardware = [...controllers, ...drives, ...networkAdapters];
  const names = [undefined, ...networks.map(({ name }) => name)];
  const isSound =
    new Set(hardware.map(({ id }) => id)).size === hardware.length &&
    disks.every(
      ({ fileId, parentId }) => has(idsOf(files), fileId) && has(idsOf(disks), parentId),
    ) &&
    drives.every(
      ({ diskId, fileId, controllerId }) =>
        has(idsOf(disks), diskId) &&
        has(idsOf(files), fileId) &&
        has(idsOf(controllers), controllerId),
    ) &&
    networkAdapters.every(({ network }) => names.includes(network));
  if (isSound) return;
  throw new ImageError(
    "IMAGE_INVALID_ARGUMENT",
    "the OVF description has an id twice or refers to something that it does not have",
  );
}
