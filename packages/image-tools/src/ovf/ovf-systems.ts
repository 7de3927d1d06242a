import type { Element } from "@xmldom/xmldom";
import { ImageError } from "../image-error.ts";
import type { OvfOperatingSystem, OvfSystem } from "./ovf-description.ts";
import { parseItems } from "./ovf-items.ts";
import { attributeOf, childrenOf, childText, sectionsOf } from "./ovf-xml.ts";

const MAX_SYSTEMS = 1000;

/** All virtual machines and the defaults of all properties. */
export interface ParsedSystems {
  readonly systems: readonly OvfSystem[];
  readonly properties: ReadonlyMap<string, string>;
}

/** The id of the configuration that holds when none is chosen. */
export function defaultConfiguration(envelope: Element): string | undefined {
  const configurations = sectionsOf(envelope, "DeploymentOptionSection").flatMap((section) =>
    childrenOf(section, "Configuration"),
  );
  const chosen =
    configurations.find((configuration) => attributeOf(configuration, "default") === "true") ??
    configurations[0];
  return chosen === undefined ? undefined : attributeOf(chosen, "id");
}

/** Reads the virtual machines of an envelope, also those inside collections. */
export function parseSystems(
  envelope: Element,
  configuration: string | undefined,
  warnings: string[],
): ParsedSystems {
  const systems: OvfSystem[] = [];
  const properties = new Map<string, string>();
  const parents = [envelope];
  for (let parent = parents.shift(); parent !== undefined; parent = parents.shift()) {
    collectProperties(parent, properties);
    for (const system of sectionsOf(parent, "VirtualSystem")) {
      if (systems.length === MAX_SYSTEMS) {
        throw new ImageError(
          "IMAGE_TOO_LARGE",
          `the OVF descriptor has over ${MAX_SYSTEMS} systems`,
        );
      }
      collectProperties(system, properties);
      systems.push(parseSystem(system, configuration, warnings));
    }
    parents.push(...sectionsOf(parent, "VirtualSystemCollection"));
  }
  return { systems, properties };
}

function parseSystem(
  system: Element,
  configuration: string | undefined,
  warnings: string[],
): OvfSystem {
  const [hardware] = sectionsOf(system, "VirtualHardwareSection");
  const name = childText(system, "Name");
  const operatingSystem = parseOperatingSystem(system);
  const firmware = firmwareOf(system, hardware);
  const hardwareType = hardware === undefined ? undefined : hardwareTypeOf(hardware);
  return {
    id: attributeOf(system, "id") ?? "",
    ...(name === undefined ? {} : { name }),
    ...(operatingSystem === undefined ? {} : { operatingSystem }),
    ...(hardwareType === undefined ? {} : { hardwareType }),
    ...(firmware === undefined ? {} : { firmware }),
    ...(hardware === undefined
      ? { controllers: [], drives: [], networkAdapters: [] }
      : parseItems(hardware, configuration, warnings)),
  };
}

function parseOperatingSystem(system: Element): OvfOperatingSystem | undefined {
  const [section] = sectionsOf(system, "OperatingSystemSection");
  if (section === undefined) return undefined;
  const id = attributeOf(section, "id");
  const description = childText(section, "Description");
  return {
    ...(id !== undefined && /^\d{1,9}$/.test(id) ? { id: Number(id) } : {}),
    ...(description === undefined ? {} : { description }),
  };
}

function hardwareTypeOf(hardware: Element): string | undefined {
  const [system] = childrenOf(hardware, "System");
  return system === undefined ? undefined : childText(system, "VirtualSystemType");
}

// VMware writes a configuration value, oVirt a number, VirtualBox its own machine description.
function firmwareOf(
  system: Element,
  hardware: Element | undefined,
): OvfSystem["firmware"] | undefined {
  const configs = hardware === undefined ? [] : childrenOf(hardware, "Config");
  for (const config of configs) {
    if (config.getAttributeNS(config.namespaceURI, "key") !== "firmware") continue;
    return config.getAttributeNS(config.namespaceURI, "value") === "efi" ? "efi" : "bios";
  }
  const biosType = childText(system, "BiosType");
  if (biosType !== undefined) {
    if (["1", "2"].includes(biosType)) return "bios";
    return ["3", "4"].includes(biosType) ? "efi" : undefined;
  }
  const machine = childrenOf(system, "Machine").flatMap((part) => childrenOf(part, "Hardware"));
  const [firmware] = machine.flatMap((part) => childrenOf(part, "Firmware"));
  const type = firmware?.getAttribute("type") ?? "";
  if (type === "") return undefined;
  return type.startsWith("EFI") ? "efi" : "bios";
}

function collectProperties(parent: Element, properties: Map<string, string>): void {
  const found = sectionsOf(parent, "ProductSection").flatMap((section) =>
    childrenOf(section, "Property"),
  );
  for (const property of found) {
    const key = attributeOf(property, "key");
    const value = attributeOf(property, "value");
    if (key !== undefined && value !== undefined) properties.set(key, value);
  }
}
