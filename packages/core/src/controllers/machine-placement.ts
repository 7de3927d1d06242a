import type { VirtualMachineClass } from "../api/virtual-machine-class.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import type { HostState } from "../backend/hypervisor.ts";
import type { PlacementConstraints } from "../backend/placement.ts";
import { cpuMoveProblem, cpuProblem, guestCpuModel } from "../machine/cpu-fit.ts";
import { guestProblem } from "../machine/guest-needs.ts";
import { requestedMillicores } from "../machine/machine-resources.ts";
import { decidePlacement, type PlacementHost } from "../placement/placement-decision.ts";
import type { PlacementTerms } from "../placement/placement-terms.ts";
import { parseQuantity } from "../util/quantity.ts";
import type { CapacityLedger } from "./capacity-ledger.ts";
import type { ControllerContext } from "./controller-context.ts";
import type { FleetMember } from "./fleet-member.ts";
import type { VolumeOfDevice } from "./machine-volumes.ts";
import { nodeLabels } from "./node-labels.ts";

/** A place for a guest: a host of a hypervisor, or no host where the hypervisor chooses one by itself. */
export interface ChosenPlace {
  readonly member: FleetMember;
  readonly host: string | undefined;
  /** What the hypervisor has to keep to when it chooses. */
  readonly within: PlacementConstraints;
}

/** A place, or why there is none, for a person. */
export type PlaceChoice =
  { readonly place: ChosenPlace } | { readonly place: undefined; readonly message: string };

/** What a place is looked for. */
export interface PlaceWish {
  readonly vm: VirtualMachine;
  readonly vmClass: VirtualMachineClass;
  readonly volumes: readonly VolumeOfDevice[];
  /** The host to be left, in a migration. */
  readonly leaving?: string;
  /** Further labels that the host must have. */
  readonly nodeSelector?: Readonly<Record<string, string>>;
  /** At most so many guests may be on their way to a host. */
  readonly inboundLimit?: number;
}

/** Chooses where guests run. */
export class MachinePlacement {
  readonly #context: ControllerContext;
  readonly #ledger: CapacityLedger;

  constructor(context: ControllerContext, ledger: CapacityLedger) {
    this.#context = context;
    this.#ledger = ledger;
  }

  /** Chooses a place and reserves what the guest needs there. */
  choose(wish: PlaceWish): PlaceChoice {
    const { fleet, caches } = this.#context;
    const { vm, vmClass } = wish;
    const terms = placementTerms(vm, vmClass, wish.nodeSelector);
    const own = wish.leaving === undefined ? fleet.members() : [fleet.memberOf(wish.leaving)];
    const sources = wish.volumes.map(({ storage }) => storage.capabilities.blockSources);
    const problems: string[] = [];
    const hosts: PlacementHost[] = [];
    let delegated: FleetMember | undefined;
    for (const member of own) {
      const { capabilities, name } = member.hypervisor;
      const problem = guestProblem(vm.spec, capabilities, sources);
      if (capabilities.placement === "delegated") {
        if (problem === undefined) delegated ??= member;
        else problems.push(`${name} ${problem}`);
      } else {
        hosts.push(...member.hosts.map((host) => this.#candidate(host, wish, problem)));
      }
    }
    const namespaces = new Map(
      [...caches.of("Namespace").values()].map(({ metadata }) => [
        metadata.name,
        metadata.labels ?? {},
      ]),
    );
    const reaching = reachingHosts(wish.volumes);
    const decision = decidePlacement({
      machine: {
        namespace: vm.metadata.namespace ?? "",
        name: vm.metadata.name,
        labels: vm.metadata.labels ?? {},
      },
      terms,
      memoryBytes: parseQuantity(vm.spec.memory.size),
      millicores: requestedMillicores(vm.spec.cpu),
      hosts: hosts.filter(({ name }) => name !== wish.leaving),
      ...(reaching && { reachingDisks: reaching }),
      machines: iterable(() => this.#ledger.machines()),
      antiAffine: iterable(() => this.#ledger.antiAffine()),
      namespaces,
    });
    const within = constraints(terms, vmClass);
    if (decision.host !== undefined) {
      this.#ledger.reserve(vm, decision.host);
      return { place: { member: fleet.memberOf(decision.host), host: decision.host, within } };
    }
    if (delegated) return { place: { member: delegated, host: undefined, within } };
    if (problems.length === 0) return { place: undefined, message: decision.message };
    const rejected = decision.rejected.map(({ host, reason }) => `${host} ${reason}`);
    const reasons = [...problems, ...rejected].join("; ");
    return { place: undefined, message: `No host can take the VM: ${reasons}.` };
  }

  #candidate(host: HostState, wish: PlaceWish, problem: string | undefined): PlacementHost {
    const { caches } = this.#context;
    const { leaving, inboundLimit = Infinity, vmClass } = wish;
    const node = caches.of("Node").get(host.name);
    const promised = this.#ledger.on(host.name);
    const model = guestCpuModel(vmClass.spec.cpu, vmClass.status?.cpuFeatures?.enabled);
    const source = leaving === undefined ? undefined : findHost(this.#context, leaving);
    const cpu = source ? cpuMoveProblem(model, source.cpu, host.cpu) : cpuProblem(model, host.cpu);
    const isBusy = leaving !== undefined && this.#ledger.inbound(host.name) >= inboundLimit;
    const other =
      problem ?? cpu ?? (isBusy ? "takes as many other migrations as it may" : undefined);
    return {
      name: host.name,
      reachable: host.reachable,
      unschedulable: node?.spec.unschedulable === true || host.schedulable === false,
      labels: node?.metadata.labels ?? nodeLabels(host),
      taints: [...(host.taints ?? []), ...(node?.spec.taints ?? [])],
      ...(other !== undefined && { objection: other }),
      freeMemoryBytes: host.memoryBytes - promised.memoryBytes,
      freeMillicores: host.cpus * 1000 - promised.millicores,
    };
  }

  /** What a hypervisor that chooses hosts by itself has to keep to. */
  constraints(vm: VirtualMachine, vmClass: VirtualMachineClass): PlacementConstraints {
    return constraints(placementTerms(vm, vmClass), vmClass);
  }

  /** Takes back what was reserved for a VM. */
  cancel(vm: VirtualMachine): void {
    this.#ledger.cancel(vm.metadata.uid);
  }
}

function findHost({ fleet }: ControllerContext, name: string): HostState | undefined {
  return fleet.hosts().find((host) => host.name === name);
}

/** What a VM and its class say about nodes. */
export function placementTerms(
  { spec }: VirtualMachine,
  vmClass: VirtualMachineClass,
  nodeSelector?: Readonly<Record<string, string>>,
): PlacementTerms {
  const { affinity, topologySpreadConstraints } = spec;
  return {
    nodeSelectors: [
      { of: "the VM", selector: { matchLabels: spec.nodeSelector ?? {} } },
      {
        of: `VirtualMachineClass "${vmClass.metadata.name}"`,
        selector: vmClass.spec.nodeSelector ?? {},
      },
      { of: "the operation", selector: { matchLabels: nodeSelector ?? {} } },
    ],
    ...(affinity && { affinity }),
    tolerations: [...(spec.tolerations ?? []), ...(vmClass.spec.tolerations ?? [])],
    ...(topologySpreadConstraints && { topologySpreadConstraints }),
  };
}

function constraints(
  terms: PlacementTerms,
  { spec, status }: VirtualMachineClass,
): PlacementConstraints {
  const model = guestCpuModel(spec.cpu, status?.cpuFeatures?.enabled);
  return {
    nodeSelectors: terms.nodeSelectors.map(({ selector }) => selector),
    ...(terms.affinity && { affinity: terms.affinity }),
    tolerations: terms.tolerations ?? [],
    topologySpreadConstraints: terms.topologySpreadConstraints ?? [],
    cpuFeatures: model.mode === "features" ? model.features : [],
  };
}

function reachingHosts(volumes: readonly VolumeOfDevice[]): readonly string[] | undefined {
  let reaching: readonly string[] | undefined;
  for (const { hosts } of volumes) {
    if (hosts) reaching = reaching?.filter((name) => hosts.includes(name)) ?? hosts;
  }
  return reaching;
}

function iterable<T>(generate: () => Iterable<T>): Iterable<T> {
  return { [Symbol.iterator]: () => generate()[Symbol.iterator]() };
}
