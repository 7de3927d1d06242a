import type { GuestCpuModel } from "@polyvisor/core";
import type { XmlNode } from "../xml/render-xml.ts";

/** CPU modes that a host offers. Source: libvirt, "Domain capabilities", `<cpu>`. */
export type CpuMode = "host-passthrough" | "host-model" | "maximum" | "custom";

/** The sockets, and the cores of each. */
export interface CpuTopology {
  readonly sockets: number;
  readonly coresPerSocket: number;
}

/**
 * The `<cpu>` element. Under emulation there is no host CPU that a guest could be given; where a host does not offer the
 * mode of a class that follows the host, the guest gets everything that the emulator can do instead.
 */
export function cpuElement(
  model: GuestCpuModel,
  topology: CpuTopology,
  offered: ReadonlySet<CpuMode>,
): XmlNode {
  const shape: XmlNode = [
    "topology",
    { sockets: topology.sockets, dies: 1, cores: topology.coresPerSocket, threads: 1 },
  ];
  switch (model.mode) {
    case "host-passthrough":
      return [
        "cpu",
        { mode: offered.has("host-passthrough") ? "host-passthrough" : "maximum" },
        shape,
      ];
    case "host-model":
      return ["cpu", { mode: offered.has("host-model") ? "host-model" : "maximum" }, shape];
    case "model":
      return custom(shape, model.model, []);
    case "features":
      return custom(shape, "qemu64", model.features);
  }
}

function custom(shape: XmlNode, model: string, features: readonly string[]): XmlNode {
  return [
    "cpu",
    // An emulator lacks features of most models; the guest then runs without them, as QEMU itself does it.
    { mode: "custom", match: "exact", check: "none" },
    ["model", { fallback: "forbid" }, model],
    shape,
    ...features.map((name): XmlNode => ["feature", { policy: "require", name }]),
  ];
}
