import { type Platform, resourceTable } from "@polyvisor/core";

/** What a customer of the portal orders. */
export interface Order {
  readonly name: string;
  readonly cores: number;
  readonly memory: string;
  readonly image: string;
}

/** A part of a portal: it sells VMs. */
export class Portal {
  readonly #platform: Platform;

  constructor(platform: Platform) {
    this.#platform = platform;
  }

  /** Makes what is ordered, and returns when the customer can use it. */
  async deliver({ name, cores, memory, image }: Order, signal?: AbortSignal): Promise<string> {
    const apiVersion = "virtualization.deckhouse.io/v1alpha2";
    await this.#platform.apply([
      {
        apiVersion,
        kind: "VirtualDisk",
        metadata: { name },
        spec: { dataSource: { type: "HTTP", http: { url: image } } },
      },
      {
        apiVersion,
        kind: "VirtualMachine",
        metadata: { name, labels: { "portal.example.com/order": name } },
        spec: {
          virtualMachineClassName: "host",
          cpu: { cores, coreFraction: "100%" },
          memory: { size: memory },
          blockDeviceRefs: [{ kind: "VirtualDisk", name }],
        },
      },
    ]);
    const vm = await this.#platform.virtualMachines.waitFor(
      name,
      { phase: "Running" },
      { ...(signal && { signal }) },
    );
    return vm.status?.ipAddress ?? "";
  }

  /** The customer's page: each VM with its phase, and what holds it up. */
  async page(now: number): Promise<string> {
    const { items } = await this.#platform.virtualMachines.list();
    const { columns, rows } = resourceTable("VirtualMachine", items, { now });
    const phase = columns.indexOf("PHASE");
    return rows
      .map((row, index) => {
        const problem = items[index]?.status?.conditions.find(
          ({ type, status, message }) => type === "Running" && status !== "True" && message !== "",
        );
        return [row[0], row[phase], problem?.message].filter(Boolean).join("  ");
      })
      .join("\n");
  }
}
