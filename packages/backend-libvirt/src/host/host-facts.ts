import type { Firmware, HostState } from "@polyvisor/core";
import type { Element } from "@xmldom/xmldom";
import type { CpuMode } from "../domain/cpu-element.ts";
import type { VirtType } from "../domain/machine-elements.ts";
import type { ConnectionPool } from "../rpc/connection-pool.ts";
import { isLibvirtError } from "../rpc/libvirt-error.ts";
import { procedures } from "../rpc/procedures.ts";
import { attributeOf, childAt, childrenOf, parseXml, textAt } from "../xml/parse-xml.ts";
import { renderXml } from "../xml/render-xml.ts";

/** Number of libvirt, `virConnectBaselineCPUFlags`. */
const EXPAND_FEATURES = 1;

/** What a host says about itself when a connection to it has been made. */
export interface HostFacts {
  readonly virtType: VirtType;
  readonly cpuModes: ReadonlySet<CpuMode>;
  readonly cpu: NonNullable<HostState["cpu"]>;
  /** What guests can boot with. */
  readonly firmware: ReadonlySet<Firmware>;
  /** True when the host can give a guest a TPM of software. */
  readonly tpm: boolean;
  readonly cpus: number;
  readonly memoryBytes: number;
  /** Of libvirt. */
  readonly version: string;
}

/** Asks a host about itself. */
export async function readHostFacts(pool: ConnectionPool, signal: AbortSignal): Promise<HostFacts> {
  const [info, lib, { capabilities }] = await Promise.all([
    pool.call(procedures.nodeGetInfo, {}, { signal }),
    pool.call(procedures.connectGetLibVersion, {}, { signal }),
    pool.call(procedures.connectGetCapabilities, {}, { signal }),
  ]);
  const virtType = readVirtType(capabilities);
  const { capabilities: domain } = await pool.call(
    procedures.connectGetDomainCapabilities,
    { arch: "x86_64", machine: "q35", virtType, flags: 0 },
    { signal },
  );
  const root = parseXml(domain);
  return {
    virtType,
    cpuModes: new Set(supportedModes(root).map((mode) => attributeOf(mode, "name") as CpuMode)),
    cpu: {
      ...describeCpu(root, virtType),
      features: await readFeatures(pool, root, virtType, signal),
    },
    firmware: readFirmware(root),
    tpm: readTpm(root),
    cpus: info.cpus,
    memoryBytes: Number(info.memory) * 1024,
    version: formatVersion(Number(lib.version)),
  };
}

function readVirtType(capabilities: string): VirtType {
  const architectures = childrenOf(parseXml(capabilities), "guest").flatMap((guest) =>
    childrenOf(guest, "arch"),
  );
  const types = architectures
    .filter((arch) => attributeOf(arch, "name") === "x86_64")
    .flatMap((arch) => childrenOf(arch, "domain").map((domain) => attributeOf(domain, "type")));
  return types.includes("kvm") ? "kvm" : "qemu";
}

function supportedModes(capabilities: Element): Element[] {
  const modes = childrenOf(childAt(capabilities, "cpu"), "mode");
  return modes.filter((mode) => attributeOf(mode, "supported") === "yes");
}

function modeOf(capabilities: Element, name: CpuMode): Element | undefined {
  return supportedModes(capabilities).find((mode) => attributeOf(mode, "name") === name);
}

/** An emulator has models that it lacks features for; it runs them without. */
function describeCpu(
  capabilities: Element,
  virtType: VirtType,
): Omit<HostFacts["cpu"], "features"> {
  const host = modeOf(capabilities, "host-model");
  const vendor = textAt(host, "vendor");
  const model = textAt(host, "model");
  const models = childrenOf(modeOf(capabilities, "custom"), "model")
    .filter((each) => virtType === "qemu" || attributeOf(each, "usable") === "yes")
    .map((each) => each.textContent?.trim() ?? "");
  return {
    ...(vendor !== undefined && { vendor }),
    ...(model !== undefined && { model }),
    models: models.sort(),
  };
}

/** Every feature of the model that stands for the host, those included that its name stands for. */
async function readFeatures(
  pool: ConnectionPool,
  capabilities: Element,
  virtType: VirtType,
  signal: AbortSignal,
): Promise<readonly string[]> {
  const host = modeOf(capabilities, "host-model");
  const model = textAt(host, "model");
  if (model === undefined) return [];
  const vendor = textAt(host, "vendor");
  const xml = renderXml([
    "cpu",
    { mode: "custom", match: "exact" },
    ["model", { fallback: "forbid" }, model],
    vendor === undefined ? undefined : ["vendor", {}, vendor],
    ...childrenOf(host, "feature").map(
      (feature) =>
        [
          "feature",
          { policy: attributeOf(feature, "policy"), name: attributeOf(feature, "name") },
        ] as const,
    ),
  ]);
  try {
    const { cpu } = await pool.call(
      procedures.connectBaselineHypervisorCpu,
      { arch: "x86_64", machine: "q35", virtType, cpus: [xml], flags: EXPAND_FEATURES },
      { signal },
    );
    return childrenOf(parseXml(cpu), "feature")
      .filter((feature) => attributeOf(feature, "policy") !== "disable")
      .map((feature) => attributeOf(feature, "name") ?? "")
      .sort();
  } catch (error) {
    // Too old to say: classes that name features then find no host here, and the others work.
    if (isLibvirtError(error)) return [];
    throw error;
  }
}

function readFirmware(capabilities: Element): ReadonlySet<Firmware> {
  const os = childAt(capabilities, "os");
  const firmware = new Set<Firmware>(["bios"]);
  if (!valuesOf(os, "firmware").includes("efi")) return firmware;
  firmware.add("efi");
  if (valuesOf(childAt(os, "loader"), "secure").includes("yes")) firmware.add("efi-secure-boot");
  return firmware;
}

function readTpm(capabilities: Element): boolean {
  const tpm = childAt(capabilities, "devices/tpm");
  return valuesOf(tpm, "backendModel").includes("emulator");
}

function valuesOf(element: Element | undefined, name: string): string[] {
  return childrenOf(element, "enum")
    .filter((each) => attributeOf(each, "name") === name)
    .flatMap((each) => childrenOf(each, "value").map((value) => value.textContent?.trim() ?? ""));
}

/** `9.0.0` for 9000000. Source: libvirt, `virGetVersion`. */
function formatVersion(version: number): string {
  return [Math.floor(version / 1e6), Math.floor(version / 1e3) % 1000, version % 1000].join(".");
}
