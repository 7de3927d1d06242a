import { type ConditionInput, mergeConditions } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import { condition } from "../machine/machine-conditions.ts";
import { decideLease } from "../ipam/lease-decision.ts";
import { timestamp } from "../util/clock.ts";
import { isPolyvisorError } from "../util/errors.ts";
import type { AddressClaim, AddressSort } from "./address-sort.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { withFinalizer, withoutFinalizer } from "./finalizers.ts";
import { Controller } from "./runtime/controller.ts";

/** The outcome of binding: the address, or the reason why there is none. */
type Binding =
  | { readonly address: string }
  | { readonly address: undefined; readonly reason: string; readonly message: string };

/** Names leases by who holds them: an index of their cache. */
const BY_HOLDER = "holder";

/** Binds claims to addresses, of IP or MAC: makes a lease for each and gives it up with the claim. */
export class ClaimController implements RunnableController {
  readonly name: string;
  readonly #context: ControllerContext;
  readonly #sort: AddressSort;
  readonly #controller: Controller;
  /** What was bound before the caches know of it, by the claim's uid. */
  readonly #bound = new Map<string, string>();
  /** Claims that wait for an address to become free. */
  readonly #waiting = new Set<string>();

  constructor(context: ControllerContext, sort: AddressSort) {
    this.name = `${sort.kind} controller`;
    this.#context = context;
    this.#sort = sort;
    const { caches, clock, logger } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 8,
      reconcile: (key) => this.#reconcile(key),
    });
    const enqueue = (key: string): void => this.#controller.enqueue(key);
    caches.onChange(sort.kind, ({ metadata }) => enqueue(keyOf(metadata)));
    caches.onChange("ModuleConfig", () => this.#waiting.forEach(enqueue));
    const leases = caches.of(sort.leaseKind);
    leases.addIndex(BY_HOLDER, (lease) => holderKey(sort.holderOf(lease)));
    leases.onChange((previous, next) => {
      if (next !== undefined || previous === undefined) return;
      holderKey(sort.holderOf(previous)).forEach(enqueue);
      this.#waiting.forEach(enqueue);
    });
    const machines = caches.of("VirtualMachine");
    machines.addIndex(sort.machineIndex, (vm) =>
      sort.namesOf(vm).map((name) => `${vm.metadata.namespace}/${name}`),
    );
    caches.onChange("VirtualMachine", (vm) =>
      sort.namesOf(vm).forEach((name) => enqueue(`${vm.metadata.namespace}/${name}`)),
    );
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(key: string): Promise<void> {
    const { store, caches } = this.#context;
    const { kind, finalizer } = this.#sort;
    const found = caches.of(kind).get(key);
    const claim = found && (await store.get(kind, found.metadata));
    this.#waiting.delete(key);
    if (claim === undefined) return;
    if (claim.metadata.deletionTimestamp !== undefined) return this.#delete(claim);
    const kept = (await withFinalizer(store, claim, finalizer)) as AddressClaim;
    const binding = await this.#bind(kept);
    if (binding.address === undefined) this.#waiting.add(key);
    else this.#bound.set(kept.metadata.uid, binding.address);
    await this.#write(kept, binding);
  }

  async #bind(claim: AddressClaim): Promise<Binding> {
    const known = claim.status?.address ?? this.#bound.get(claim.metadata.uid);
    if (known !== undefined) return (await this.#lease(claim, known, true)) ?? { address: known };
    // After a crash between the lease and the status, the lease tells what was bound.
    const leases = this.#context.caches.of(this.#sort.leaseKind);
    const [held] = leases.findBy(BY_HOLDER, keyOf(claim.metadata));
    if (held) return { address: this.#sort.leaseAddress(held.metadata.name) };
    const wanted = this.#sort.wantedOf(claim);
    if (wanted === undefined) return this.#bindAny(claim);
    const refusal = this.#sort.refusalOf(wanted);
    if (refusal) return { address: undefined, ...refusal };
    return (await this.#lease(claim, wanted, false)) ?? { address: wanted };
  }

  async #bindAny(claim: AddressClaim): Promise<Binding> {
    for (;;) {
      const address = this.#sort.allocate();
      if (address === undefined) return { address: undefined, ...this.#sort.exhaustion() };
      try {
        if ((await this.#make(claim, address)) === "made") return { address };
      } catch (error) {
        this.#sort.release(address);
        throw error;
      }
    }
  }

  /** Makes the lease, or takes over one that is kept for the claim's namespace; or says why that cannot be. */
  async #lease(
    claim: AddressClaim,
    address: string,
    wasBound: boolean,
  ): Promise<Exclude<Binding, { address: string }> | undefined> {
    const { store } = this.#context;
    const { kind, leaseKind, leaseName, holderOf, withHolder } = this.#sort;
    const { name, namespace = "" } = claim.metadata;
    for (;;) {
      const lease = await store.get(leaseKind, { name: leaseName(address) });
      const decision = decideLease({
        kind,
        claim: { namespace, name },
        address,
        leaseName: leaseName(address),
        wasBound,
        lease: lease && { holder: holderOf(lease) },
      });
      switch (decision.action) {
        case "hold":
          return undefined;
        case "refuse": {
          const { reason, message } = decision;
          return { address: undefined, reason, message };
        }
        case "create":
          if ((await this.#make(claim, address)) === "made") return undefined;
          break;
        case "retake":
          if (lease) await store.update(leaseKind, withHolder(lease, { namespace, name }));
          return undefined;
      }
    }
  }

  async #make(claim: AddressClaim, address: string): Promise<"made" | "taken"> {
    const { leaseKind, leaseName, newLease, take } = this.#sort;
    const { name, namespace = "" } = claim.metadata;
    try {
      const lease = newLease(leaseName(address), { namespace, name });
      await this.#context.store.create(leaseKind, lease);
      take(address);
      this.#tell(claim, "Bound", `The address ${address} was leased.`);
      return "made";
    } catch (error) {
      if (isPolyvisorError(error, "POLYVISOR_ALREADY_EXISTS")) return "taken";
      throw error;
    }
  }

  async #delete(claim: AddressClaim): Promise<void> {
    const { store, caches } = this.#context;
    const { leaseKind, leaseName, holderOf, finalizer } = this.#sort;
    // The status says already who uses the address; the end of that brings the claim back here.
    if (this.#user(claim) !== undefined) return;
    const key = keyOf(claim.metadata);
    const address = claim.status?.address ?? this.#bound.get(claim.metadata.uid);
    const held = caches.of(leaseKind).findBy(BY_HOLDER, key);
    const names = new Set(held.map(({ metadata }) => metadata.name));
    if (address !== undefined) names.add(leaseName(address));
    for (const name of names) {
      const lease = await store.get(leaseKind, { name });
      if (lease === undefined || holderKey(holderOf(lease))[0] !== key) continue;
      await this.#sort.giveUp(lease);
      this.#tell(claim, "Released", `The lease "${name}" was given up.`);
    }
    await withoutFinalizer(store, claim, finalizer);
    this.#bound.delete(claim.metadata.uid);
  }

  /** The VM that has the address: the one that had it before, as long as it wants it, else the first by name. */
  #user(claim: AddressClaim): string | undefined {
    const names = this.#context.caches
      .of("VirtualMachine")
      .findBy(this.#sort.machineIndex, keyOf(claim.metadata))
      .map(({ metadata }) => metadata.name)
      .sort();
    return names.find((name) => name === claim.status?.virtualMachineName) ?? names[0];
  }

  async #write(claim: AddressClaim, binding: Binding): Promise<void> {
    const { store, clock } = this.#context;
    const { generation } = claim.metadata;
    const virtualMachineName = this.#user(claim);
    const address = binding.address ?? claim.status?.address;
    const bound = binding.address !== undefined;
    const attached = virtualMachineName !== undefined;
    const conditions: ConditionInput[] = [
      bound
        ? condition("Bound", "True", "Bound")
        : condition("Bound", "False", binding.reason, binding.message),
      condition(
        "Attached",
        attached ? "True" : "False",
        attached ? "Attached" : "VirtualMachineNotFound",
      ),
    ];
    const status: NonNullable<AddressClaim["status"]> = {
      phase: bound ? (attached ? "Attached" : "Bound") : "Pending",
      ...(address !== undefined && { address }),
      ...(attached && { virtualMachineName }),
      observedGeneration: generation,
      conditions: mergeConditions(
        claim.status?.conditions,
        conditions.map((input) => ({ ...input, observedGeneration: generation })),
        timestamp(clock),
      ),
    };
    await store.updateStatus(this.#sort.kind, { ...claim, status });
    const before = claim.status?.virtualMachineName;
    if (before === virtualMachineName) return;
    if (attached) this.#tell(claim, "Attached", `VirtualMachine "${virtualMachineName}" has it.`);
    else this.#tell(claim, "NotAttached", `VirtualMachine "${before}" has it no more.`);
  }

  #tell(claim: AddressClaim, reason: string, message: string): void {
    this.#context.events.record(claim, { reason, message });
  }
}

function holderKey(holder: { namespace: string; name?: string } | undefined): string[] {
  return holder?.name === undefined ? [] : [`${holder.namespace}/${holder.name}`];
}
