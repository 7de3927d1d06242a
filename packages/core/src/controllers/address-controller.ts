import { mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import {
  leaseAddress,
  leaseName,
  type VirtualMachineIPAddress,
  type VirtualMachineIPAddressLease,
  type VirtualMachineIPAddressStatus,
} from "../api/virtual-machine-ip-address.ts";
import { condition } from "../machine/machine-conditions.ts";
import { containingRange } from "../util/address-range.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError } from "../util/errors.ts";
import { AddressAllocator } from "./address-allocator.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { currentSettings } from "./current-settings.ts";
import { FINALIZERS, withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { Controller } from "./runtime/controller.ts";

/** Names the VMs that use an address: an index of the cache of VMs. */
export const MACHINES_BY_ADDRESS = "address";

/** The outcome of binding: the address, or the reason why there is none. */
type Binding =
  | { readonly address: string }
  | { readonly address: undefined; readonly reason: string; readonly message: string };

/** Binds claims to addresses: makes a lease for each and gives it up with the claim. */
export class AddressController implements RunnableController {
  readonly name = "VirtualMachineIPAddress controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;
  readonly #allocator: AddressAllocator;
  /** What was bound before the caches know of it, by the claim's uid. */
  readonly #bound = new Map<string, string>();
  /** Claims that wait for an address to become free. */
  readonly #waiting = new Set<string>();

  constructor(context: ControllerContext) {
    this.#context = context;
    const { caches, clock, logger } = context;
    this.#allocator = new AddressAllocator(caches);
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 8,
      reconcile: (key) => this.#reconcile(key),
    });
    const enqueueWaiting = (): void =>
      this.#waiting.forEach((key) => this.#controller.enqueue(key));
    caches.onChange("VirtualMachineIPAddress", ({ metadata }) =>
      this.#controller.enqueue(keyOf(metadata)),
    );
    caches.onChange("ModuleConfig", enqueueWaiting);
    const leases = caches.of("VirtualMachineIPAddressLease");
    leases.addIndex("holder", (lease) => holderKey(lease) ?? []);
    leases.onChange((previous, next) => {
      if (next !== undefined || previous === undefined) return;
      holderKey(previous)?.forEach((key) => this.#controller.enqueue(key));
      enqueueWaiting();
    });
    caches.of("VirtualMachine").addIndex(MACHINES_BY_ADDRESS, ({ metadata, status }) => {
      const name = status?.virtualMachineIPAddressName;
      return name === undefined ? [] : [`${metadata.namespace}/${name}`];
    });
    caches.onChange("VirtualMachine", ({ metadata, status }) => {
      const name = status?.virtualMachineIPAddressName;
      if (name !== undefined) this.#controller.enqueue(`${metadata.namespace}/${name}`);
    });
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(key: string): Promise<void> {
    const { store, caches } = this.#context;
    const found = caches.of("VirtualMachineIPAddress").get(key);
    const claim = found && (await store.get("VirtualMachineIPAddress", found.metadata));
    this.#waiting.delete(key);
    if (claim === undefined) return;
    if (claim.metadata.deletionTimestamp !== undefined) return this.#delete(claim);
    const kept = await withFinalizer(store, claim, FINALIZERS.address);
    const binding = await this.#bind(kept);
    if (binding.address === undefined) this.#waiting.add(key);
    else this.#bound.set(kept.metadata.uid, binding.address);
    await this.#write(kept, binding);
  }

  async #bind(claim: VirtualMachineIPAddress): Promise<Binding> {
    const { store, caches } = this.#context;
    const { metadata, status, spec } = claim;
    const address = status?.address ?? this.#bound.get(metadata.uid);
    if (address !== undefined) {
      const lease = await store.get("VirtualMachineIPAddressLease", { name: leaseName(address) });
      if (lease && isHeldBy(lease, claim)) return { address };
      const message = `The VirtualMachineIPAddressLease "${leaseName(address)}" doesn't exist: delete this VirtualMachineIPAddress and create it anew.`;
      return { address: undefined, reason: "VirtualMachineIPAddressLeaseLost", message };
    }
    // After a crash between the lease and the status, the lease tells what was bound.
    const [held] = caches.of("VirtualMachineIPAddressLease").findBy("holder", keyOf(metadata));
    if (held) return { address: leaseAddress(held.metadata.name) };
    return spec.type === "Static"
      ? this.#bindStatic(claim, spec.staticIP ?? "")
      : this.#bindAuto(claim);
  }

  async #bindStatic(claim: VirtualMachineIPAddress, address: string): Promise<Binding> {
    const { virtualMachineCIDRs } = currentSettings(this.#context.caches);
    if (containingRange(virtualMachineCIDRs, address) === undefined) {
      return {
        address: undefined,
        reason: "VirtualMachineIPAddressIsOutOfTheValidRange",
        message: `The IP address "${address}" is out of the valid range.`,
      };
    }
    if (await this.#lease(claim, address)) return { address };
    return {
      address: undefined,
      reason: "VirtualMachineIPAddressLeaseAlreadyExists",
      message: `The IP address "${address}" belongs to existing VirtualMachineIPAddressLease and cannot be taken.`,
    };
  }

  async #bindAuto(claim: VirtualMachineIPAddress): Promise<Binding> {
    for (;;) {
      const address = this.#allocator.allocate();
      if (address === undefined) {
        const { virtualMachineCIDRs } = currentSettings(this.#context.caches);
        const hint =
          virtualMachineCIDRs.length === 0
            ? "no ranges are configured: set spec.settings.virtualMachineCIDRs of ModuleConfig/virtualization"
            : `no remaining ips in ${virtualMachineCIDRs.join(", ")}: add a range to spec.settings.virtualMachineCIDRs of ModuleConfig/virtualization`;
        return {
          address: undefined,
          reason: "VirtualMachineIPAddressLeaseNotReady",
          message: `Failed to allocate new IP address: ${hint}.`,
        };
      }
      try {
        if (await this.#lease(claim, address)) return { address };
      } catch (error) {
        this.#allocator.release(address);
        throw error;
      }
    }
  }

  /** Makes the lease, or takes over one that is kept for the claim's namespace. False when somebody else has it. */
  async #lease(claim: VirtualMachineIPAddress, address: string): Promise<boolean> {
    const { store } = this.#context;
    const { name, namespace = "" } = claim.metadata;
    const spec = { virtualMachineIPAddressRef: { name, namespace } };
    try {
      await store.create("VirtualMachineIPAddressLease", {
        apiVersion: claim.apiVersion,
        kind: "VirtualMachineIPAddressLease",
        metadata: { name: leaseName(address) },
        spec,
      });
      this.#allocator.take(address);
      return true;
    } catch (error) {
      if (!isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) throw error;
    }
    const lease = await store.get("VirtualMachineIPAddressLease", { name: leaseName(address) });
    if (lease === undefined) return false;
    if (isHeldBy(lease, claim)) return true;
    const ref = lease.spec.virtualMachineIPAddressRef;
    if (claim.spec.type === "Auto" || ref?.name !== undefined || ref?.namespace !== namespace)
      return false;
    await store.update("VirtualMachineIPAddressLease", { ...lease, spec });
    return true;
  }

  async #delete(claim: VirtualMachineIPAddress): Promise<void> {
    const { store, caches } = this.#context;
    // The status says already who uses the address; the end of that brings the claim back here.
    if (this.#user(claim) !== undefined) return;
    const address = claim.status?.address ?? this.#bound.get(claim.metadata.uid);
    const held = caches.of("VirtualMachineIPAddressLease").findBy("holder", keyOf(claim.metadata));
    const names = new Set(held.map(({ metadata }) => metadata.name));
    if (address !== undefined) names.add(leaseName(address));
    for (const name of names) {
      const lease = await store.get("VirtualMachineIPAddressLease", { name });
      if (lease === undefined || !isHeldBy(lease, claim)) continue;
      const { namespace = "" } = claim.metadata;
      const spec = { virtualMachineIPAddressRef: { namespace } };
      await store.update("VirtualMachineIPAddressLease", { ...lease, spec });
    }
    await withoutFinalizer(store, claim, FINALIZERS.address);
    this.#bound.delete(claim.metadata.uid);
  }

  /** The VM that has the address: the one that had it before, as long as it wants it, else the first by name. */
  #user(claim: VirtualMachineIPAddress): string | undefined {
    const machines = this.#context.caches.of("VirtualMachine");
    const names = machines
      .findBy(MACHINES_BY_ADDRESS, keyOf(claim.metadata))
      .map(({ metadata }) => metadata.name)
      .sort();
    return names.find((name) => name === claim.status?.virtualMachineName) ?? names[0];
  }

  async #write(claim: VirtualMachineIPAddress, binding: Binding): Promise<void> {
    const { generation } = claim.metadata;
    const virtualMachineName = this.#user(claim);
    const address = binding.address ?? claim.status?.address;
    const bound = binding.address !== undefined;
    const attached = virtualMachineName !== undefined;
    const conditions = [
      bound
        ? condition("Bound", "True", "Bound")
        : condition("Bound", "False", binding.reason, binding.message),
      condition(
        "Attached",
        attached ? "True" : "False",
        attached ? "Attached" : "VirtualMachineNotFound",
      ),
    ].map((input) => ({ ...input, observedGeneration: generation }));
    const next: VirtualMachineIPAddressStatus = {
      phase: bound ? (attached ? "Attached" : "Bound") : "Pending",
      ...(address !== undefined && { address }),
      ...(attached && { virtualMachineName }),
      observedGeneration: generation,
      conditions: mergeConditions(
        claim.status?.conditions,
        conditions,
        timestamp(this.#context.clock),
      ),
    };
    await this.#context.store.updateStatus("VirtualMachineIPAddress", { ...claim, status: next });
  }
}

function holderKey({ spec }: VirtualMachineIPAddressLease): string[] | undefined {
  const ref = spec.virtualMachineIPAddressRef;
  return ref?.name === undefined ? undefined : [`${ref.namespace}/${ref.name}`];
}

function isHeldBy(
  lease: VirtualMachineIPAddressLease,
  { metadata }: VirtualMachineIPAddress,
): boolean {
  return holderKey(lease)?.[0] === keyOf(metadata);
}
