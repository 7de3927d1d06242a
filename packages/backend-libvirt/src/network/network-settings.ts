import { parseRange, PolyvisorError } from "@polyvisor/core";

/** How the guests of a range reach others. */
export type NetworkMode =
  /** The host translates their addresses, and gives them out. */
  | { readonly type: "nat" }
  /** The host routes for them; others need routes to the range. It gives their addresses out. */
  | { readonly type: "routed" }
  /** They reach one another on the same host. It gives their addresses out. */
  | { readonly type: "isolated" }
  /** They are on a bridge that the host has; a DHCP server there must give out the addresses by MAC address. */
  | { readonly type: "bridge"; readonly bridge: string }
  /** The same with a bridge of Open vSwitch, where they can be in a VLAN from 1 to 4094. */
  | { readonly type: "open-vswitch"; readonly bridge: string; readonly vlan?: number };

/** What hosts make of a range. */
export type LibvirtNetwork = NetworkMode & {
  /** A range of the platform, such as `10.66.10.0/24`. */
  readonly range: string;
  /** Labels that a host must have to have guests of the range. Default: every host has them. */
  readonly hostLabels?: Readonly<Record<string, string>>;
  /**
   * Holds guests to their MAC and IP address by libvirt's filter `clean-traffic`, which the hosts must have. Default
   * false.
   */
  readonly antiSpoofing?: boolean;
};

/** The networks of a host by their range; those that are not named have address translation. */
export class NetworkSettings {
  readonly #byRange: ReadonlyMap<string, LibvirtNetwork>;
  readonly #hostLabels: Readonly<Record<string, string>>;

  constructor(networks: readonly LibvirtNetwork[], hostLabels: Readonly<Record<string, string>>) {
    this.#byRange = new Map(networks.map((network) => [network.range, network]));
    this.#hostLabels = hostLabels;
  }

  /** @throws `POLYVISOR_REFUSED` when this host is to have no guests of the range. */
  of(range: string): LibvirtNetwork {
    const network = this.#byRange.get(range) ?? { type: "nat", range };
    const lacking = Object.entries(network.hostLabels ?? {}).filter(
      ([label, value]) => this.#hostLabels[label] !== value,
    );
    if (lacking.length === 0) return network;
    const labels = lacking.map(([label, value]) => `${label}=${value}`).join(", ");
    throw new PolyvisorError(
      "POLYVISOR_REFUSED",
      `the host has no network for the range ${range}: it lacks ${labels}`,
    );
  }

  isGuarded(range: string): boolean {
    return this.#byRange.get(range)?.antiSpoofing ?? false;
  }
}

/** @throws `POLYVISOR_INVALID` for ranges that cannot be read or come twice, and VLANs that do not exist. */
export function checkNetworks(networks: readonly LibvirtNetwork[]): void {
  const invalid = (reason: string): PolyvisorError =>
    new PolyvisorError("POLYVISOR_INVALID", `networks: ${reason}`);
  for (const network of networks) {
    parseRange(network.range);
    if (networks.filter(({ range }) => range === network.range).length > 1) {
      throw invalid(`the range ${network.range} comes twice`);
    }
    if (network.type !== "open-vswitch" || network.vlan === undefined) continue;
    const { vlan } = network;
    if (!Number.isInteger(vlan) || vlan < 1 || vlan > 4094) {
      throw invalid(`the range ${network.range} has VLAN ${vlan}; it must be 1 to 4094`);
    }
  }
}
