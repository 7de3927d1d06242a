import type { CpuMode } from "../domain/cpu-element.ts";
import type { ConnectionPool } from "../rpc/connection-pool.ts";
import { procedures } from "../rpc/procedures.ts";
import { attributeOf, childAt, childrenOf, parseXml } from "../xml/parse-xml.ts";

/** What a host says about itself when a connection to it has been made. */
export interface HostFacts {
  readonly virtType: "kvm" | "qemu";
  readonly cpuModes: ReadonlySet<CpuMode>;
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
  const domain = await pool.call(
    procedures.connectGetDomainCapabilities,
    { arch: "x86_64", machine: "q35", virtType, flags: 0 },
    { signal },
  );
  return {
    virtType,
    cpuModes: readCpuModes(domain.capabilities),
    cpus: info.cpus,
    memoryBytes: Number(info.memory) * 1024,
    version: formatVersion(Number(lib.version)),
  };
}

function readVirtType(capabilities: string): "kvm" | "qemu" {
  const architectures = childrenOf(parseXml(capabilities), "guest").flatMap((guest) =>
    childrenOf(guest, "arch"),
  );
  const types = architectures
    .filter((arch) => attributeOf(arch, "name") === "x86_64")
    .flatMap((arch) => childrenOf(arch, "domain").map((domain) => attributeOf(domain, "type")));
  return types.includes("kvm") ? "kvm" : "qemu";
}

function readCpuModes(capabilities: string): ReadonlySet<CpuMode> {
  const modes = childrenOf(childAt(parseXml(capabilities), "cpu"), "mode");
  const offered = modes.filter((mode) => attributeOf(mode, "supported") === "yes");
  return new Set(offered.map((mode) => attributeOf(mode, "name") as CpuMode));
}

/** `9.0.0` for 9000000. Source: libvirt, `virGetVersion`. */
function formatVersion(version: number): string {
  return [Math.floor(version / 1e6), Math.floor(version / 1e3) % 1000, version % 1000].join(".");
}
