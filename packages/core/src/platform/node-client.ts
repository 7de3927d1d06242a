import { findCondition } from "../api/conditions.ts";
import { keyOf } from "../api/meta.ts";
import type { Node } from "../api/node.ts";
import type { VirtualMachine } from "../api/virtual-machine.ts";
import { DRAIN_ANNOTATION } from "../controllers/node-drain.ts";
import { type Clock, timeLimit } from "../util/clock.ts";
import { isPolyvisorError, PolyvisorError } from "../util/errors.ts";
import { ResourceClient } from "./resource-client.ts";

type ClientParts = ConstructorParameters<typeof ResourceClient>[1];

/** The client for nodes, with what is done to them for maintenance. */
export class NodeClient extends ResourceClient<"Node"> {
  readonly #machines: ResourceClient<"VirtualMachine">;
  readonly #clock: Clock;

  constructor(parts: ClientParts & { readonly machines: ResourceClient<"VirtualMachine"> }) {
    super("Node", parts);
    this.#machines = parts.machines;
    this.#clock = parts.clock;
  }

  /** Keeps new guests away from a node; those that run there stay. @throws `POLYVISOR_NOT_FOUND`. */
  cordon(name: string): Promise<Node> {
    return this.patch(name, { spec: { unschedulable: true } });
  }

  /** Lets guests come to a node again, and ends its being emptied. @throws `POLYVISOR_NOT_FOUND`. */
  uncordon(name: string): Promise<Node> {
    const metadata = { annotations: { [DRAIN_ANNOTATION]: null } };
    return this.patch(name, { metadata, spec: { unschedulable: null } });
  }

  /**
   * Empties a node for maintenance: keeps new guests away, moves those that run there to other nodes by operations
   * `evacuation-…`, and waits until it has none. What has begun goes on when the waiting ends; {@link uncordon} ends it.
   *
   * @param options.timeout Milliseconds; default: without end.
   * @throws `POLYVISOR_NOT_FOUND`, `POLYVISOR_TIMEOUT` with the VMs that are left and why, and the reason of `signal`.
   */
  async drain(
    name: string,
    options: { readonly signal?: AbortSignal; readonly timeout?: number } = {},
  ): Promise<Node> {
    const node = await this.patch(name, {
      metadata: { annotations: { [DRAIN_ANNOTATION]: "true" } },
      spec: { unschedulable: true },
    });
    await this.#untilEmpty(name, options);
    return node;
  }

  async #untilEmpty(
    name: string,
    { signal: outer, timeout }: { readonly signal?: AbortSignal; readonly timeout?: number },
  ): Promise<void> {
    const limit = timeout === undefined ? undefined : timeLimit(this.#clock, timeout);
    const ending = new AbortController();
    const signals = [outer, limit?.signal, ending.signal].filter((one) => one !== undefined);
    const signal = AbortSignal.any(signals);
    let left: readonly VirtualMachine[] = [];
    try {
      while (!signal.aborted) {
        // Watched before they are listed, so that no change falls between the two.
        const events = this.#machines.watch({ signal });
        const { items } = await this.#machines.list();
        const there = new Map(
          items.filter((vm) => isOn(vm, name)).map((vm) => [vm.metadata.uid, vm]),
        );
        left = [...there.values()];
        if (left.length === 0) return;
        try {
          for await (const { type, resource } of events) {
            if (type !== "DELETED" && isOn(resource, name)) {
              there.set(resource.metadata.uid, resource);
            } else there.delete(resource.metadata.uid);
            left = [...there.values()];
            if (left.length === 0) return;
          }
        } catch (error) {
          if (!isPolyvisorError(error, "POLYVISOR_EXPIRED")) throw error;
        }
      }
      outer?.throwIfAborted();
      throw new PolyvisorError(
        "POLYVISOR_TIMEOUT",
        `Node "${name}" was not empty within ${timeout} ms: ${left.map(describe).join("; ")}`,
      );
    } finally {
      limit?.cancel();
      ending.abort();
    }
  }
}

function isOn({ status }: VirtualMachine, node: string): boolean {
  const { guest } = status ?? {};
  if (guest === undefined || guest.state === "Stopped") return false;
  return guest.host === node || guest.migration?.source === node;
}

function describe({ metadata, status }: VirtualMachine): string {
  const migratable = findCondition(status?.conditions, "Migratable");
  const why = migratable?.status === "False" ? migratable.message : `is ${status?.phase}`;
  return `VirtualMachine "${keyOf(metadata)}": ${why}`;
}
