import { findCondition, mergeConditions } from "../api/conditions.ts";
import type { Node, NodeStatus } from "../api/node.ts";
import { keyOf } from "../api/meta.ts";
import type { HostState } from "../backend/hypervisor.ts";
import { condition } from "../machine/machine-conditions.ts";
import { timestamp } from "../util/clock.ts";
import { jsonEquals } from "../util/json.ts";
import { formatBytes } from "../util/quantity.ts";
import type { ControllerContext, RunnableController } from "./controller-context.ts";
import { MACHINES_BY_UID } from "./machine-controller.ts";
import { mergedLabels } from "./node-labels.ts";
import { Controller } from "./runtime/controller.ts";

/** Shows every host as a Node, with the guests there that nobody here knows. */
export class NodeController implements RunnableController {
  readonly name = "Node controller";
  readonly #context: ControllerContext;
  readonly #controller: Controller;

  constructor(context: ControllerContext) {
    this.#context = context;
    const { fleet, clock, logger, caches } = context;
    this.#controller = new Controller({
      name: this.name,
      clock,
      logger,
      concurrency: 1,
      reconcile: (name) => this.#reconcile(name),
    });
    fleet.onHosts(() => {
      for (const { name } of fleet.hosts()) this.#controller.enqueue(name);
    });
    caches.onChange("Node", ({ metadata }) => this.#controller.enqueue(keyOf(metadata)));
  }

  run(signal: AbortSignal): Promise<void> {
    return this.#controller.run(signal);
  }

  async #reconcile(name: string): Promise<void> {
    const { store, fleet } = this.#context;
    const node = await store.get("Node", { name });
    const host = fleet.hosts().find((candidate) => candidate.name === name);
    if (host === undefined) {
      if (node) await store.delete("Node", { name }, { uid: node.metadata.uid });
      return;
    }
    const metadata = mergedLabels(node?.metadata, host);
    const kept =
      node ??
      (await store.create("Node", {
        apiVersion: "v1",
        kind: "Node",
        metadata: { name, ...metadata },
        spec: {},
      }));
    const { labels, annotations } = kept.metadata;
    const labelled = jsonEquals({ labels, annotations }, metadata)
      ? kept
      : await store.update("Node", { ...kept, metadata: { ...kept.metadata, ...metadata } });
    const status = this.#status(labelled, host);
    await store.updateStatus("Node", { ...labelled, status });
    this.#tell(labelled, status);
  }

  /** Source: Kubernetes, events of nodes. */
  #tell(before: Node, { conditions }: NodeStatus): void {
    const ready = findCondition(conditions, "Ready");
    const earlier = findCondition(before.status?.conditions, "Ready");
    if (ready === undefined || ready.status === earlier?.status) return;
    const { events } = this.#context;
    if (ready.status === "True") {
      events.record(before, { reason: "NodeReady", message: "The host answers." });
    } else {
      events.record(before, { reason: "NodeNotReady", message: ready.message, type: "Warning" });
    }
  }

  #status(node: Node, host: HostState): NodeStatus {
    const unknownGuests = this.#unknownGuests(host);
    if (unknownGuests.length > 0 && !jsonEquals(unknownGuests, node.status?.unknownGuests)) {
      this.#context.logger.warn(
        { host: host.name, guests: unknownGuests },
        "the host has guests that are not known here; they are left alone",
      );
    }
    const amounts = { cpu: String(host.cpus), memory: formatBytes(host.memoryBytes) };
    const ready = host.reachable
      ? condition("Ready", "True", "HostAnswers")
      : condition(
          "Ready",
          "False",
          "HostNotReachable",
          `The host does not answer: ${host.message ?? "no reason is known"}`,
        );
    const unknown =
      unknownGuests.length > 0
        ? condition(
            "UnknownGuests",
            "True",
            "GuestsNotManagedHere",
            `Guests that are not known here run on the host and are left alone: ${unknownGuests.join(", ")}.`,
          )
        : condition("UnknownGuests", "False", "NoUnknownGuests");
    return {
      capacity: amounts,
      allocatable: amounts,
      nodeInfo: {
        ...(host.bootId !== undefined && { bootID: host.bootId }),
        hypervisor: host.hypervisor,
        hypervisorVersion: host.hypervisorVersion,
      },
      ...(host.schedulable === false && { unschedulable: true }),
      ...(host.taints && { taints: host.taints }),
      unknownGuests,
      conditions: mergeConditions(
        node.status?.conditions,
        [ready, unknown],
        timestamp(this.#context.clock),
      ),
    };
  }

  /** Guests without our mark, and those with a mark of which there is no VM. */
  #unknownGuests(host: HostState): string[] {
    const { fleet, caches } = this.#context;
    const machines = caches.of("VirtualMachine");
    const orphans = [...fleet.guests()]
      .filter(
        ({ host: where, uid }) =>
          where === host.name && machines.findBy(MACHINES_BY_UID, uid).length === 0,
      )
      .map(({ namespace, name }) => `${namespace}/${name}`);
    return [...host.unknownGuests, ...orphans].sort();
  }
}
